"""What the tests of the API server share: a REST session, kubectl, and servers of their own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.apiserver.kubectl import Kubectl
from tests.lab.apiserver.rest import Rest
from tests.lab.cluster import Cluster
from tests.lab.servers import ApiServer, StartServer


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Rest:
    return Rest(cluster.kubeconfig)


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    return cluster.namespace()


def _kubectls() -> list[str]:
    own = Path(sys.executable).parent / "kubectl"
    return list(dict.fromkeys(str(path) for path in (own, shutil.which("kubectl")) if path and Path(path).exists()))


@pytest.fixture(params=_kubectls())
def kubectl(request: pytest.FixtureRequest, cluster: Cluster, namespace: str, tmp_path: Path) -> Kubectl:
    """Each kubectl of this machine in turn, in a fresh namespace."""
    return Kubectl(request.param, cluster.kubeconfig, namespace, tmp_path)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers of the lab in folders of their own; ``start_server(*arguments, users={…})``."""
    running: list[ApiServer] = []

    def start(*arguments: str, users: dict[str, tuple[str, ...]] | None = None) -> ApiServer:
        folder = tmp_path / f"server-{len(running)}"
        folder.mkdir()
        server = ApiServer(folder, users or {}, list(arguments))
        running.append(server)
        server.start()
        return server

    yield start
    for server in running:
        server.stop()
