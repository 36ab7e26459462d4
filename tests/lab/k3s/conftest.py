"""One cluster of three K3s servers for all tests of this folder; each test leaves its servers up and plain."""

from collections.abc import Iterator

import pytest

from tests.lab.servers_of_k3s import K3sCluster, running


@pytest.fixture(scope="package")
def k3s(tmp_path_factory: pytest.TempPathFactory) -> Iterator[K3sCluster]:
    with running(tmp_path_factory.mktemp("k3s")) as cluster:
        yield cluster
