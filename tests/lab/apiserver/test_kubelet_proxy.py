"""Logs and exec: what the API server asks of a pod's kubelet, and what it answers in its own name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client import CoreV1Api
from kubernetes.stream import stream

from tests.lab.apiserver.fake_kubelet import FakeKubelet
from tests.lab.apiserver.kubectl import Kubectl
from tests.lab.apiserver.objects import pod
from tests.lab.apiserver.rest import Rest, status
from tests.lab.cluster import Cluster
from tests.lab.servers import ApiServer

POD = "/api/v1/namespaces/default/pods/p"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("proxy")) as running:
        api = Rest(running.kubeconfig)
        api.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        api.create("/api/v1/nodes", {"metadata": {"name": "n"}})
        body = pod("p", nodeName="n", initContainers=[{"name": "first", "image": "x:1"}])
        api.create("/api/v1/namespaces/default/pods", body)
        body = pod("two", nodeName="n", initContainers=[{"name": "first", "image": "x:1"}])
        body["spec"]["containers"].append({"name": "side", "image": "x:1"})
        api.create("/api/v1/namespaces/default/pods", body)
        api.create("/api/v1/namespaces/default/pods", pod("waiting"))
        yield running


@pytest.fixture
def api(server: ApiServer) -> Rest:
    return Rest(server.kubeconfig)


@pytest.fixture
def kubelet(server: ApiServer, api: Rest) -> Iterator[FakeKubelet]:
    with FakeKubelet(server.certs) as running:
        place = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": running.port}},
        }
        api.patch("/api/v1/nodes/n/status", {"status": place})
        yield running


@pytest.fixture
def kubectl(server: ApiServer, tmp_path: Path) -> Kubectl:
    return Kubectl(str(Path(sys.executable).parent / "kubectl"), server.kubeconfig, "default", tmp_path)


def test_a_log_is_the_kubelets(api: Rest, kubelet: FakeKubelet) -> None:
    response = api.request("GET", f"{POD}/log")
    assert (response.status_code, response.text) == (200, "first line\n")
    assert response.headers["Content-Type"] == "text/plain"
    assert kubelet.asked == [("/containerLogs/default/p/main", [])]


def test_the_parameters_of_a_log_are_handed_on(api: Rest, kubelet: FakeKubelet) -> None:
    params = {
        "previous": "True",
        "timestamps": "1",
        "tailLines": "5",
        "limitBytes": "10",
        "sinceSeconds": "60",
        "follow": "false",
        "container": "first",
    }
    api.request("GET", f"{POD}/log", params=params)
    path, asked = kubelet.asked[0]
    assert path == "/containerLogs/default/p/first"
    assert sorted(asked) == [
        ("limitBytes", "10"),
        ("previous", "true"),
        ("sinceSeconds", "60"),
        ("tailLines", "5"),
        ("timestamps", "true"),
    ]


@pytest.mark.parametrize("word", ["true", "True"])
def test_a_followed_log_comes_as_it_is_written(api: Rest, kubelet: FakeKubelet, word: str) -> None:
    """Airflow follows with follow=True."""
    with api.request("GET", f"{POD}/log", params={"follow": word}, stream=True) as response:
        lines = response.iter_lines(chunk_size=1)
        assert next(lines) == b"first line"
        kubelet.more.set()
        assert next(lines) == b"second line"
        assert list(lines) == []


def test_the_container_has_to_be_clear(api: Rest) -> None:
    two = POD.removesuffix("p") + "two"
    assert status(api.request("GET", f"{two}/log")) == (
        400,
        "BadRequest",
        "a container name must be specified for pod two, choose one of: [main side] or one of the init containers: "
        "[first]",
    )
    assert status(api.request("GET", f"{two}/log", params={"container": "lost"})) == (
        400,
        "BadRequest",
        "container lost is not valid for pod two",
    )


def test_a_pod_without_a_node_has_no_log_yet(api: Rest) -> None:
    assert api.request("GET", POD.removesuffix("p") + "waiting/log").status_code == 204


def test_a_log_of_nonsense_is_refused(api: Rest) -> None:
    code, reason, message = status(api.request("GET", f"{POD}/log", params={"tailLines": "-1"}))
    assert (code, reason) == (422, "Invalid")
    assert "tailLines: Invalid value: -1: must be greater than or equal to 0" in message


def test_the_kubelets_complaint_is_told(api: Rest, kubelet: FakeKubelet) -> None:
    text = 'container "main" in pod "p" is waiting to start: ContainerCreating'
    kubelet.answer = (400, text)
    assert status(api.request("GET", f"{POD}/log")) == (400, "BadRequest", text)
    kubelet.answer = (500, "disk on fire")
    assert status(api.request("GET", f"{POD}/log"))[::2] == (500, "Internal error occurred: disk on fire")


def test_a_silent_kubelet_is_an_error_and_no_empty_log(api: Rest) -> None:
    place = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
    }
    api.patch("/api/v1/nodes/n/status", {"status": place})
    code, reason, message = status(api.request("GET", f"{POD}/log"))
    assert (code, reason) == (500, "InternalError")
    assert 'Get "https://127.0.0.1:1/containerLogs/default/p/main"' in message


def test_kubectl_follows_a_log(kubectl: Kubectl, kubelet: FakeKubelet) -> None:
    kubelet.more.set()
    assert kubectl("logs", "-f", "p", "-c", "main") == "first line\nsecond line\n"


def test_kubectl_runs_a_command(kubectl: Kubectl, kubelet: FakeKubelet) -> None:
    assert kubectl("exec", "p", "-c", "main", "--", "echo", "a b", "&c") == "echo a b &c\n"
    path, asked = kubelet.asked[-1]
    assert path == "/exec/default/p/main"
    assert asked == [("command", "echo"), ("command", "a b"), ("command", "&c"), ("output", "1"), ("error", "1")]


def test_kubectl_sends_its_input(kubectl: Kubectl, kubelet: FakeKubelet) -> None:
    assert kubectl("exec", "-i", "p", "-c", "main", "--", "cat", stdin="one\nend\n") == "cat\none\nend\n"
    assert ("input", "1") in kubelet.asked[-1][1]


def test_the_python_client_runs_a_command(server: ApiServer, kubelet: FakeKubelet) -> None:
    client = Cluster(server.kubeconfig, server.url, server.ca, real=False).client()
    words = ["echo", "hello"]
    options = {"container": "main", "stdin": True, "stdout": True, "stderr": True, "tty": False}
    run = stream(
        CoreV1Api(client).connect_get_namespaced_pod_exec,
        "p",
        "default",
        command=words,
        **options,
        _preload_content=False,
    )
    assert run.readline_stdout(timeout=10) == "echo hello"
    run.write_stdin("end\n")
    assert run.readline_stdout(timeout=10) == "end"
    run.run_forever(timeout=10)
    assert run.returncode == 0


def test_the_python_client_reads_a_log(server: ApiServer, kubelet: FakeKubelet) -> None:
    """As text, not as the repr of bytes that some versions of it make of a log."""
    core = CoreV1Api(Cluster(server.kubeconfig, server.url, server.ca, real=False).client())
    assert core.read_namespaced_pod_log("p", "default", container="main") == "first line\n"


def test_an_exec_that_cannot_be_says_why(kubectl: Kubectl) -> None:
    lost = kubectl.run("exec", "lost", "--", "true")
    assert 'pods "lost" not found' in lost.stderr
    waiting = kubectl.run("exec", "waiting", "--", "true")
    assert "pod waiting does not have a host assigned" in waiting.stderr


def test_an_exec_without_an_upgrade_is_refused(api: Rest) -> None:
    response = api.request("GET", f"{POD}/exec", params={"command": "true"})
    assert status(response) == (400, "BadRequest", "Upgrade request required")
