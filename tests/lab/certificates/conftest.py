"""Three K3s servers and their agents, which keep running; each test says how old their certificates are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.certificates.stage import NODES, Stage
from tests.lab.servers_of_k3s import K3sCluster, running


@pytest.fixture(scope="package")
def k3s(tmp_path_factory: pytest.TempPathFactory) -> Iterator[K3sCluster]:
    with running(tmp_path_factory.mktemp("k3s")) as cluster:
        yield cluster


@pytest.fixture
def stage(k3s: K3sCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """All certificates are a year from their end; afterwards every node runs."""
    monkeypatch.setenv("KUBECONFIG", str(k3s.kubeconfig))
    monkeypatch.setenv("INFRA_OPS_SSH", str(k3s.ssh_folder))
    monkeypatch.setenv("INFRA_OPS_CACERT", str(k3s.ca))
    made = Stage(k3s)
    made.age(365, *NODES)
    yield made
    for name in NODES:
        k3s.power(name, on=True)
    made.wait_until_all_run()
