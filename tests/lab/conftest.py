"""The Kubernetes API server that the lab's tests share: the lab's own, or a real one by --kubeconfig."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest
from kubernetes.client import CoreV1Api

from tests.lab.cluster import Cluster
from tests.lab.servers import ApiServer


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The API server of this test session."""
    given: Path | None = request.config.getoption("--kubeconfig")
    if given is None:
        with ApiServer(tmp_path_factory.mktemp("apiserver")) as server:
            yield Cluster(server.kubeconfig, server.url, server.ca, real=False)
        return
    settings = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(given), client_configuration=settings)
    with tempfile.TemporaryDirectory() as folder:
        authority = Path(folder, "ca.crt")
        authority.write_text(Path(settings.ssl_ca_cert).read_text())
        cluster = Cluster(given, settings.host, authority, real=True)
        yield cluster
        core = CoreV1Api(cluster.client())
        for name in cluster.namespaces:
            core.delete_namespace(name)
