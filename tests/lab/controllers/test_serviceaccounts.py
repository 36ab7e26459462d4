"""What every namespace gets."""

from kubernetes.client import CoreV1Api

from tests.lab.cluster import Cluster
from tests.lab.controllers.conftest import eventually


def test_a_new_namespace_gets_its_default_account(core: CoreV1Api, namespace: str) -> None:
    assert eventually(lambda: core.read_namespaced_service_account("default", namespace))


def test_a_new_namespace_gets_the_certificates_that_pods_need(
    core: CoreV1Api, cluster: Cluster, namespace: str
) -> None:
    published = eventually(lambda: core.read_namespaced_config_map("kube-root-ca.crt", namespace))
    assert published.data["ca.crt"].strip() == cluster.ca.read_text().strip()


def test_a_deleted_default_account_comes_back(core: CoreV1Api, namespace: str) -> None:
    first = eventually(lambda: core.read_namespaced_service_account("default", namespace)).metadata.uid
    core.delete_namespaced_service_account("default", namespace)
    eventually(lambda: core.read_namespaced_service_account("default", namespace).metadata.uid != first)
