"""The lab's API server, controllers and kubelet, on which the store is deployed for real."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from infra_ops.models.plans import Plan
from lab import sandbox
from tests.lab.cluster import Cluster
from tests.lab.kubelet.support import Kubelet, wait_until
from tests.lab.servers import running_controllers
from tests.lab.store.stage import Stage


@pytest.fixture(scope="package")
def stage(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The manifests of infra-ops applied, and a kubelet to run what is deployed; nothing is deployed yet."""
    if not sandbox.available():
        pytest.skip("this machine refuses unprivileged namespaces")
    log = tmp_path_factory.mktemp("controllers") / "log"
    kubelet = Kubelet(cluster, tmp_path_factory.mktemp("lab"), namespaces=True)
    with running_controllers(cluster.kubeconfig, log, "--unless-managed", "--node-grace", "3600"):
        kubelet.start()
        try:
            stage = Stage(cluster, kubelet, tmp_path_factory.mktemp("backups"))
            with stage.environment():
                stage.prepare()
                yield stage
        finally:
            _remove(cluster)
            kubelet.stop()


@pytest.fixture(scope="module")
def deployed(stage: Stage) -> Iterator[Plan]:
    """The store, deployed by the account of its area; the plan that was carried out."""
    stage.as_account("platform")
    plan = stage.deploy()
    yield plan
    stage.as_administrator()
    stage.remove()


def _remove(cluster: Cluster) -> None:
    core = client.CoreV1Api(cluster.client())
    for name in Stage.namespaces():
        with contextlib.suppress(ApiException):
            core.delete_namespace(name)
    wait_until(lambda: "openbao" not in [item.metadata.name for item in core.list_namespace().items])
