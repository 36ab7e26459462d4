"""The guard before the lab is put on a real API server."""

import asyncio
import time
from pathlib import Path

import pytest
from kubernetes.client import CoreV1Api, VersionApi

from lab import real_server
from lab.real_server import RealServer, RefusedError
from tests.lab.cluster import Cluster


def check(kubeconfig: Path, *, disposable: bool = True) -> RealServer:
    return asyncio.run(real_server.check(kubeconfig, disposable=disposable))


def test_a_cluster_whose_nodes_the_lab_registered_is_accepted(cluster: Cluster) -> None:
    core = CoreV1Api(cluster.client())
    name = f"lab-{time.time_ns()}"
    core.create_node({"metadata": {"name": name, "labels": {real_server.LABEL: "true"}}})
    try:
        version = VersionApi(cluster.client()).get_code().git_version
        assert check(cluster.kubeconfig) == RealServer(cluster.url, version)
    finally:
        core.delete_node(name)


def test_a_cluster_with_somebodys_node_is_refused_by_name(cluster: Cluster) -> None:
    core = CoreV1Api(cluster.client())
    name = f"somebodys-{time.time_ns()}"
    core.create_node({"metadata": {"name": name}})
    try:
        with pytest.raises(RefusedError, match=rf"^{cluster.url} has nodes that no lab registered \({name}\)"):
            check(cluster.kubeconfig)
    finally:
        core.delete_node(name)


def test_without_the_users_word_that_it_is_disposable_the_server_is_only_named(cluster: Cluster) -> None:
    with pytest.raises(RefusedError, match=rf"names the API server {cluster.url}: .* say so with --disposable"):
        check(cluster.kubeconfig, disposable=False)


def test_a_server_that_does_not_answer_is_named(cluster: Cluster, tmp_path: Path) -> None:
    elsewhere = tmp_path / "kubeconfig"
    port = cluster.url.rsplit(":", 1)[1]
    elsewhere.write_text(cluster.kubeconfig.read_text().replace(f":{port}", ":9"))
    elsewhere.chmod(0o600)
    with pytest.raises(RefusedError, match=r"The nodes of https://\S+:9 cannot be listed: .*does not answer"):
        check(elsewhere)


@pytest.mark.parametrize("text", ["", "apiVersion: v1\nkind: Config\n", "[", "current-context: gone\ncontexts: []\n"])
def test_what_is_no_kubeconfig_is_called_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(RefusedError, match="The kubeconfig .* cannot be used"):
        check(path)


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="The kubeconfig .* cannot be used: .*No such file.*nowhere"):
        check(tmp_path / "nowhere")
