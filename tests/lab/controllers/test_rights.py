"""The roles of the lab's user for controllers suffice; the other tests run them as the cluster's admin."""

import pytest
from kubernetes import config
from kubernetes.client import CoreV1Api

from tests.lab.controllers.conftest import OwnServer, config_map, eventually, is_gone, owner_reference


@pytest.fixture
def core(own: OwnServer) -> CoreV1Api:
    return CoreV1Api(config.new_client_from_config(str(own.server.kubeconfig)))


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_the_controllers_do_all_their_work_with_their_own_rights(core: CoreV1Api, own: OwnServer, policy: str) -> None:
    name = f"rights-{policy.lower()}"
    core.create_namespace({"metadata": {"name": name}})
    eventually(lambda: core.read_namespaced_service_account("default", name))
    eventually(lambda: core.read_namespaced_config_map("kube-root-ca.crt", name))
    owner = config_map(core, name, "owner")
    config_map(core, name, "child", owner_reference(owner, blocks=True))
    core.delete_namespaced_config_map("owner", name, propagation_policy=policy)
    eventually(lambda: is_gone(lambda: core.read_namespaced_config_map("owner", name)))
    core.delete_namespace(name)
    eventually(lambda: is_gone(lambda: core.read_namespace(name)))
    assert "orbidden" not in own.log.read_text()
