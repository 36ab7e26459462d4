"""Nodes that fall silent. On a server of their own: the shared one may hold nodes of other tests."""

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes import config
from kubernetes.client import ApiException, CoordinationV1Api, CoreV1Api
from kubernetes.client.rest import RESTClientObject
from urllib3.exceptions import HTTPError

from lab.controllers.evictions import Patience, bears
from lab.controllers.nodelifecycle import Heartbeats
from tests.lab.controllers.conftest import GRACE, OwnServer, eventually, is_gone
from tests.lab.servers import ApiServer

OWN_TAINT = {"key": "example.com/mine", "effect": "NoSchedule"}


@pytest.fixture(scope="module")
def server(own: OwnServer) -> ApiServer:
    return own.server


@pytest.fixture(scope="module")
def core(server: ApiServer) -> CoreV1Api:
    client = config.new_client_from_config(str(server.kubeconfig))
    client.configuration.retries = False
    client.rest_client = RESTClientObject(client.configuration)
    return CoreV1Api(client)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture
def node(core: CoreV1Api) -> Iterator[str]:
    """A node that reported once that it is ready."""
    name = f"node-{uuid.uuid4().hex[:6]}"
    core.create_node({"metadata": {"name": name}, "spec": {"taints": [OWN_TAINT]}})
    report_ready(core, name)
    yield name
    core.delete_node(name)


def report_ready(core: CoreV1Api, name: str) -> None:
    seconds = now()[:19] + "Z"
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": seconds, "lastTransitionTime": seconds}
    core.patch_node_status(name, {"status": {"conditions": [ready]}})


@contextlib.contextmanager
def heartbeats(core: CoreV1Api, name: str) -> Iterator[None]:
    """Renews the node's Lease until the end of the block, like a kubelet; survives outages of the server."""
    leases, stop = CoordinationV1Api(core.api_client), threading.Event()
    with contextlib.suppress(ApiException):  # it may be there
        leases.create_namespaced_lease("kube-node-lease", {"metadata": {"name": name}, "spec": {"renewTime": now()}})

    def renew() -> None:
        while not stop.is_set():
            with contextlib.suppress(ApiException, HTTPError):  # the server is away, where the test wants it so
                leases.patch_namespaced_lease(name, "kube-node-lease", {"spec": {"renewTime": now()}})
            stop.wait(0.3)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ready(core: CoreV1Api, name: str) -> Any:
    return next(each for each in core.read_node(name).status.conditions if each.type == "Ready")


def taints(core: CoreV1Api, name: str) -> set[tuple[str, str]]:
    return {(each.key, each.effect) for each in core.read_node(name).spec.taints or []}


UNREACHABLE = {("node.kubernetes.io/unreachable", effect) for effect in ("NoSchedule", "NoExecute")}
OWN = {(OWN_TAINT["key"], OWN_TAINT["effect"])}


def test_a_silent_node_becomes_unknown_and_unreachable_and_comes_back(core: CoreV1Api, node: str) -> None:
    with heartbeats(core, node):
        eventually(lambda: ready(core, node).status == "True")
    eventually(lambda: ready(core, node).status == "Unknown")
    assert ready(core, node).reason == "NodeStatusUnknown"
    assert ready(core, node).message == "Kubelet stopped posting node status."
    eventually(lambda: taints(core, node) == UNREACHABLE | OWN)
    with heartbeats(core, node):
        report_ready(core, node)
        eventually(lambda: taints(core, node) == OWN)
        assert ready(core, node).status == "True"


def test_the_lease_alone_keeps_a_node_alive(core: CoreV1Api, node: str) -> None:
    """A kubelet renews its Lease every 10 s, but reports its status only every 5 minutes."""
    silent = f"silent-{uuid.uuid4().hex[:6]}"
    core.create_node({"metadata": {"name": silent}})
    with heartbeats(core, node):
        report_ready(core, silent)
        eventually(lambda: ready(core, silent).status == "Unknown")
        assert ready(core, node).status == "True"
    core.delete_node(silent)


def make_pods(core: CoreV1Api, node: str, **tolerations: list[dict[str, Any]]) -> None:
    """Pods on the node, by name, in a namespace of its name."""
    core.create_namespace({"metadata": {"name": node}})
    eventually(lambda: core.read_namespaced_service_account("default", node))
    for name, borne in tolerations.items():
        spec = {
            "nodeName": node,
            "containers": [{"name": "c", "image": "pause"}],
            "automountServiceAccountToken": False,
            "tolerations": borne,
        }
        core.create_namespaced_pod(node, {"metadata": {"name": name}, "spec": spec})


def test_pods_of_a_silent_node_are_not_ready(core: CoreV1Api, node: str) -> None:
    make_pods(core, node, pod=[])
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    core.patch_namespaced_pod_status("pod", node, {"status": status})

    def condition() -> Any:
        return next(each for each in core.read_namespaced_pod("pod", node).status.conditions if each.type == "Ready")

    eventually(lambda: condition().status == "False")
    assert condition().reason == "NodeNotReady"
    core.delete_namespaced_pod("pod", node, grace_period_seconds=0)


def test_pods_that_do_not_bear_a_lost_node_are_deleted_but_stay_in_the_api(core: CoreV1Api, node: str) -> None:
    """Nobody but its kubelet, or who asks for no grace, takes a pod out of the API."""
    unreachable = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    make_pods(core, node, patient=[unreachable | {"tolerationSeconds": 1}], usual=[], faithful=[unreachable])

    def pod(name: str) -> Any:
        return core.read_namespaced_pod(name, node)

    eventually(lambda: pod("patient").metadata.deletion_timestamp)
    condition = next(each for each in pod("patient").status.conditions if each.type == "DisruptionTarget")
    assert (condition.status, condition.reason) == ("True", "DeletionByTaintManager")
    time.sleep(2)
    assert pod("patient").metadata.deletion_timestamp
    assert pod("usual").metadata.deletion_timestamp is None  # admission lets it bear the node for five minutes
    assert pod("faithful").metadata.deletion_timestamp is None
    for name in ("patient", "usual", "faithful"):
        core.delete_namespaced_pod(name, node, grace_period_seconds=0)
    eventually(lambda: is_gone(lambda: pod("patient")))


def test_patience_starts_anew_when_the_node_has_come_back() -> None:
    pod = {"metadata": {"uid": "u"}, "spec": {"tolerations": [{"operator": "Exists", "tolerationSeconds": 120}]}}
    lost = [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]
    patience = Patience()
    assert not patience.is_over(pod, lost, now=0)
    assert not patience.is_over(pod, lost, now=119)
    assert not patience.is_over(pod, [], now=120)
    assert not patience.is_over(pod, lost, now=121)
    assert not patience.is_over(pod, lost, now=240)
    assert patience.is_over(pod, lost, now=241)


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 0),
        ([{"key": "a", "operator": "Exists"}], 0),  # the other taint is not borne
        ([{"operator": "Exists"}], None),
        ([{"operator": "Exists", "tolerationSeconds": -3}], 0),
        ([{"key": "a", "operator": "Exists", "tolerationSeconds": 5}, {"key": "b", "value": "x"}], 5),
        ([{"key": "a", "operator": "Exists", "effect": "NoSchedule"}, {"key": "b", "value": "x"}], 0),
        ([{"operator": "Exists", "tolerationSeconds": 9}, {"key": "b", "value": "x", "tolerationSeconds": 4}], 9),
    ],
)
def test_how_long_taints_are_borne(tolerations: list[dict[str, Any]], seconds: float | None) -> None:
    taints = [{"key": "a", "effect": "NoExecute"}, {"key": "b", "value": "x", "effect": "NoExecute"}]
    assert bears(tolerations, taints) == seconds


def test_a_node_that_says_it_is_not_ready_is_tainted_so(core: CoreV1Api, node: str) -> None:
    with heartbeats(core, node):
        core.patch_node_status(node, {"status": {"conditions": [{"type": "Ready", "status": "False"}]}})
        expected = {("node.kubernetes.io/not-ready", effect) for effect in ("NoSchedule", "NoExecute")}
        eventually(lambda: taints(core, node) == expected | OWN)


def test_no_node_is_blamed_for_an_outage_of_the_server(server: ApiServer, core: CoreV1Api, node: str) -> None:
    """Also when its first heartbeat afterwards takes a while. And the controllers are at work again."""
    with heartbeats(core, node):
        core.patch_node_status(node, {"status": {"conditions": [{"type": "Ready", "status": "False"}]}})
        eventually(lambda: taints(core, node) != OWN)
        report_ready(core, node)
        eventually(lambda: taints(core, node) == OWN)  # the controllers have seen it alive
    server.kill()
    time.sleep(GRACE + 1)
    server.start()
    time.sleep(1.2)  # the controllers look every second; a kubelet is slower
    seen: set[str] = set()
    with heartbeats(core, node):
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            seen.add(ready(core, node).status)
    assert seen == {"True"}
    name = f"after-{uuid.uuid4().hex[:6]}"
    core.create_namespace({"metadata": {"name": name}})
    assert eventually(lambda: core.read_namespaced_service_account("default", name))


def test_silence_is_counted_from_when_a_heartbeat_was_first_seen() -> None:
    """Whatever the node's clock says."""
    node: dict[str, Any] = {"metadata": {"uid": "u"}, "status": {}}
    past, future = ({"spec": {"renewTime": f"{year}-01-01T00:00:00.000000Z"}} for year in (1970, 2999))
    heartbeats = Heartbeats(grace=40)
    assert not heartbeats.is_silent(node, past, now=100)
    assert not heartbeats.is_silent(node, past, now=140)
    assert heartbeats.is_silent(node, past, now=141)
    assert not heartbeats.is_silent(node, future, now=142)
    assert heartbeats.is_silent(node, future, now=200)
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": "1970-01-01T00:00:00Z"}
    node["status"] = {"conditions": [condition]}
    assert not heartbeats.is_silent(node, future, now=201)
    assert heartbeats.is_silent(node, future, now=242)
    heartbeats.restart(now=242)
    assert not heartbeats.is_silent(node, future, now=282)
