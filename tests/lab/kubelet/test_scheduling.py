"""Which pods get which nodes, on the running scheduler."""

from collections import Counter

import pytest
from kubernetes import client

from tests.lab.kubelet.support import Pods, wait_until

pytestmark = pytest.mark.usefixtures("kubelet")

HELD = {"image": "rancher/mirrored-pause"}


def test_pods_go_where_the_fewest_are(pods: Pods, api: client.CoreV1Api) -> None:
    """Other tests may have left pods on some nodes: those get fewer of these, so that all nodes end up alike."""
    wait_until(lambda: not any(node.spec.taints for node in api.list_node().items))  # new ones are, for a moment
    for number in range(40):
        pods.create(f"spread-{number}", HELD)
    wait_until(lambda: all(pod.spec.node_name for pod in pods.all()))
    every = [pod for pod in api.list_pod_for_all_namespaces().items if pod.status.phase in ("Pending", "Running")]
    load = Counter(pod.spec.node_name for pod in every)
    chosen = {pod.spec.node_name for pod in pods.all()}
    assert len(chosen) > 1
    assert max(load[node] for node in chosen) - min(load[node.metadata.name] for node in api.list_node().items) <= 1


def test_a_node_selector_decides(pods: Pods) -> None:
    pods.create("chosen", HELD, nodeSelector={"kubernetes.io/hostname": "rpi-6"})
    assert pods.wait_running("chosen").spec.node_name == "rpi-6"
    assert any(text == f"Scheduled: Successfully assigned {pods.namespace}/chosen to rpi-6"
               for text in wait_until(lambda: pods.events("chosen")))  # fmt: skip


def test_a_pod_that_fits_nowhere_says_why_and_waits(pods: Pods) -> None:
    pods.create("too-big", {**HELD, "resources": {"requests": {"cpu": "64"}}})
    pod = pods.wait("too-big", lambda pod: pod.status.conditions)
    [condition] = pod.status.conditions
    assert (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable")
    assert condition.message == "0/8 nodes are available: 8 Insufficient cpu."
    assert wait_until(lambda: pods.events("too-big")) == [f"FailedScheduling: {condition.message}"]


def test_a_cordoned_node_gets_no_pods_until_it_is_uncordoned(pods: Pods, api: client.CoreV1Api) -> None:
    api.patch_node("rpi-7", {"spec": {"unschedulable": True}})
    pods.create("patient", HELD, nodeSelector={"kubernetes.io/hostname": "rpi-7"})
    pods.wait("patient", lambda pod: pod.status.conditions)
    api.patch_node("rpi-7", {"spec": {"unschedulable": False}})
    assert pods.wait_running("patient").spec.node_name == "rpi-7"


def test_a_pod_of_another_scheduler_is_left_alone(pods: Pods) -> None:
    """The second pod shows that the scheduler has been past the first."""
    pods.create("foreign", HELD, schedulerName="somebody-else")
    pods.create("ours", HELD)
    pods.wait_running("ours")
    assert pods.get("foreign").spec.node_name is None


def test_a_pod_bound_by_hand_runs_where_it_was_bound(pods: Pods) -> None:
    pods.create("by-hand", HELD, schedulerName="somebody-else")
    target = client.V1ObjectReference(api_version="v1", kind="Node", name="rpi-2")
    body = client.V1Binding(metadata=client.V1ObjectMeta(name="by-hand"), target=target)
    pods.api.create_namespaced_binding(pods.namespace, body, _preload_content=False)
    assert pods.wait_running("by-hand").spec.node_name == "rpi-2"
