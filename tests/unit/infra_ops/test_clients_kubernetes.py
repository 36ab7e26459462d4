import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from infra_ops.__main__ import main
from infra_ops.clients.kubernetes import Cluster, ClusterError
from tests.unit.infra_ops.web import serve

Kubeconfig = Callable[[str], None]


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubeconfig:
    """Points KUBECONFIG at a server."""

    def point(address: str) -> None:
        context = {"name": "c", "context": {"cluster": "k", "user": "u"}}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {"token": "invented"}}],
            "contexts": [context],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(content))
        monkeypatch.setenv("KUBECONFIG", str(path))

    return point


def item(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}, "status": {}}


def test_a_list_follows_the_pages_with_the_token_of_the_kubeconfig(kubeconfig: Kubeconfig) -> None:
    answers = {
        "/api/v1/nodes?limit=200": (200, {"metadata": {"continue": "abc"}, "items": [item("a"), item("b")]}),
        "/api/v1/nodes?limit=200&continue=abc": (200, {"metadata": {}, "items": [item("c")]}),
    }
    seen: list[tuple[str, str]] = []
    with serve(answers, seen) as address:
        kubeconfig(address)
        names = [found["metadata"]["name"] for found in Cluster().list("/api/v1/nodes")]
    assert names == ["a", "b", "c"]
    assert [login for _, login in seen] == ["Bearer invented"] * 2


def test_a_refusal_names_server_path_and_reason(kubeconfig: Kubeconfig) -> None:
    with serve({"/api/v1/secrets?limit=200": (403, {"message": "no"})}) as address:
        kubeconfig(address)
        with pytest.raises(ClusterError, match=rf"{address} refused GET /api/v1/secrets: 403 Forbidden"):
            list(Cluster().list("/api/v1/secrets"))


def test_a_dead_server_is_one_sentence(kubeconfig: Kubeconfig) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        kubeconfig(address)
        with pytest.raises(ClusterError, match=rf"^the API server {address} does not answer: .*Connection refused"):
            Cluster().get("/version")


def test_the_toolbox_writes_its_result_to_the_file_it_is_given(kubeconfig: Kubeconfig, tmp_path: Path) -> None:
    with serve({"/api/v1/nodes?limit=200": (200, {"metadata": {}, "items": [item("rpi-1")]})}) as address:
        kubeconfig(address)
        assert main(["nodes", "--result", str(tmp_path / "return.json")]) == 0
    (node,) = json.loads((tmp_path / "return.json").read_text())["nodes"]
    assert node == {"name": "rpi-1", "ready": False, "reason": "NoReadyCondition", "kubelet_version": ""}


def test_the_toolbox_says_in_its_last_line_why_it_failed(
    kubeconfig: Kubeconfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kubernetes hands the last lines of a failed container to Airflow as its termination message."""
    with serve({"/api/v1/nodes?limit=200": (403, {})}) as address:
        kubeconfig(address)
        assert main(["nodes"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"nodes failed: the API server {address} refused GET /api/v1/nodes: 403 Forbidden"
    )


def test_a_servers_own_address_is_spoken_to_and_not_that_of_the_kubeconfig(kubeconfig: Kubeconfig) -> None:
    """The library reads the kubeconfig again before each call, and its address with it."""
    with serve({"/version": (200, {"who": "all"})}) as shared, serve({"/version": (200, {"who": "own"})}) as own:
        kubeconfig(shared)
        assert Cluster(own).get("/version") == {"who": "own"}
