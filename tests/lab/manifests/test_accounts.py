"""The accounts on an API server: what the chapter applies is accepted, and each account is refused a write."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from kubernetes.client import ApiException, CoreV1Api

from infra_ops.include import inventory
from tests.lab.cluster import Cluster
from tests.lab.manifests.chapter import PROJECT, block, checkout, run

POD = yaml.safe_load(
    (PROJECT / "include/manifests/infra-ops/console.yaml").read_text()
)  # the restricted standard takes it
RESTART = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}
Call = Callable[[kubernetes.client.ApiClient], object]


@pytest.fixture(scope="module")
def applied(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster after step 5 of the chapter, with what it finds there: consumers, and the chart's account."""
    folder = checkout(tmp_path_factory.mktemp("checkout"))
    (folder / "openbao-ca.crt").write_text("invented\n")
    for name in ("infra-ops-node-key", "known_hosts"):
        (folder / name).write_text("invented\n")
    found = list(found_there(folder))
    (folder / "found.yaml").write_text(yaml.safe_dump_all(found))
    made = yaml.safe_load_all((folder / "include/manifests/infra-ops/namespaces.yaml").read_text())
    spaces = [item for item in (*made, *found) if item["kind"] == "Namespace"]
    cluster.namespaces += [item["metadata"]["name"] for item in spaces]
    run("kubectl apply --server-side -f found.yaml", folder, KUBECONFIG=str(cluster.kubeconfig))
    run(block("for namespace in airflow"), folder, KUBECONFIG=str(cluster.kubeconfig))
    return cluster


def found_there(folder: Path) -> Iterator[dict[str, Any]]:
    def item(kind: str, name: str, **metadata: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **metadata}}

    manifests = yaml.safe_load_all((folder / "include/manifests/infra-ops/credentials.yaml").read_text())
    for namespace in sorted({manifest["metadata"].get("namespace", "airflow") for manifest in manifests}):
        if namespace != "infra-ops":
            yield item("Namespace", namespace)
    yield item("ServiceAccount", "airflow-triggerer", namespace="airflow")
    for credential in inventory().credentials.values():
        for consumer in credential.consumers:
            yield item("Secret", consumer.secret.name, namespace=consumer.secret.namespace)


def as_account(cluster: Cluster, account: str) -> kubernetes.client.ApiClient:
    """A client with a fresh token of the account `namespace/name`."""
    namespace, _, name = account.partition("/")
    place = cluster.kubeconfig.parent  # kubectl leaves its cache there
    token = run(f"kubectl create token {name} -n {namespace}", place, KUBECONFIG=str(cluster.kubeconfig)).strip()
    settings = kubernetes.client.Configuration(host=cluster.url)
    settings.ssl_ca_cert = str(cluster.ca)
    settings.api_key = {"authorization": f"Bearer {token}"}
    return kubernetes.client.ApiClient(settings)


def secret(namespace: str, name: str) -> Call:
    data = {"data": {"password": base64.b64encode(b"new").decode()}}
    return lambda client: CoreV1Api(client).patch_namespaced_secret(name, namespace, data)


def restart(namespace: str) -> Call:
    apps = kubernetes.client.AppsV1Api
    return lambda client: apps(client).patch_namespaced_deployment("flower", namespace, RESTART)


def pod(namespace: str, account: str = "reader") -> Call:
    body = {**POD, "metadata": {"name": "tool"}, "spec": {**POD["spec"], "serviceAccountName": account}}
    return lambda client: CoreV1Api(client).create_namespaced_pod(namespace, body, dry_run="All")


def lease(name: str) -> Call:
    body = {"metadata": {"name": name}, "spec": {"holderIdentity": "test"}}
    api = kubernetes.client.CoordinationV1Api
    return lambda client: api(client).create_namespaced_lease("infra-ops", body, dry_run="All")


def delete_journal(client: kubernetes.client.ApiClient) -> object:
    return CoreV1Api(client).delete_namespaced_config_map("journal-x", "infra-ops")


def read_pods(namespace: str) -> Call:
    return lambda client: CoreV1Api(client).list_namespaced_pod(namespace)


def read_nodes(client: kubernetes.client.ApiClient) -> object:
    return CoreV1Api(client).list_node()


def find_copies(client: kubernetes.client.ApiClient) -> object:
    return CoreV1Api(client).list_secret_for_all_namespaces()


def read_secret(namespace: str, name: str) -> Call:
    return lambda client: CoreV1Api(client).read_namespaced_secret(name, namespace)


def rewrite_secret(client: kubernetes.client.ApiClient) -> object:
    """What encrypting a Secret is."""
    body = {"metadata": {"name": "database"}}
    return CoreV1Api(client).replace_namespaced_secret("database", "celery", body, dry_run="All")


def delete_secret(namespace: str, name: str) -> Call:
    return lambda client: CoreV1Api(client).delete_namespaced_secret(name, namespace, dry_run="All")


def change_map(namespace: str, name: str) -> Call:
    body = {"data": {"invented": "x"}}
    return lambda client: CoreV1Api(client).patch_namespaced_config_map(name, namespace, body, dry_run="All")


def make_secret(namespace: str) -> Call:
    body = {"metadata": {"name": "openbao-seal"}}
    return lambda client: CoreV1Api(client).create_namespaced_secret(namespace, body, dry_run="All")


def token(account: str) -> Call:
    return lambda client: CoreV1Api(client).create_namespaced_service_account_token(account, "airflow", {"spec": {}})


def read_webhooks(client: kubernetes.client.ApiClient) -> object:
    return kubernetes.client.AdmissionregistrationV1Api(client).list_validating_webhook_configuration()


def read_readiness(client: kubernetes.client.ApiClient) -> object:
    return client.call_api("/readyz/etcd", "GET", auth_settings=["BearerToken"], response_type="str")


PLATFORM, BACKUPS, DESTROYER = "airflow/infra-ops-platform", "airflow/infra-ops-backups", "airflow/infra-ops-destroyer"
READER, UPKEEP, KEEPER = "infra-ops/reader", "airflow/infra-ops-upkeep", "infra-ops-upkeep/upkeep"
HARDENING, HARDENER = "airflow/infra-ops-hardening", "infra-ops-hardening/hardening"
REPOSITORY, EDITOR = "airflow/infra-ops-repository", "infra-ops-repository/repository"
CREDENTIALS, TRIGGERER = "airflow/infra-ops-credentials", "airflow/airflow-triggerer"
ALLOWED = {
    "the reader lists nodes": (READER, read_nodes),
    "upkeep lists nodes": (UPKEEP, read_nodes),
    "upkeep starts a tool that reads": (UPKEEP, pod("infra-ops")),
    "upkeep starts a tool of its own": (UPKEEP, pod("infra-ops-upkeep", "upkeep")),
    "upkeep takes the Lease": (UPKEEP, lease("change")),
    "upkeep's tools find webhooks": (KEEPER, read_webhooks),
    "upkeep's tools ask for a server's etcd member": (KEEPER, read_readiness),
    "upkeep's tools take the Lease": (KEEPER, lease("change")),
    "hardening starts a tool": (HARDENING, pod("infra-ops-hardening", "hardening")),
    "hardening takes the Lease": (HARDENING, lease("change")),
    "hardening's tools take the Lease": (HARDENER, lease("change")),
    "hardening's tools list nodes": (HARDENER, read_nodes),
    "hardening's tools list Secrets": (HARDENER, find_copies),
    "hardening's tools write a Secret again": (HARDENER, rewrite_secret),
    "hardening's tools plant a canary": (HARDENER, make_secret("infra-ops-hardening")),
    "hardening's tools ask for a server's etcd member": (HARDENER, read_readiness),
    "repository starts a tool": (REPOSITORY, pod("infra-ops-repository", "repository")),
    "repository takes the Lease": (REPOSITORY, lease("change")),
    "repository's tools take the Lease": (EDITOR, lease("change")),
    "credentials writes a copy that it knows": (CREDENTIALS, secret("celery", "database")),
    "credentials takes the Lease": (CREDENTIALS, lease("change")),
    "credentials looks for forgotten copies": (CREDENTIALS, find_copies),
    "credentials lists the pods of consumers": (CREDENTIALS, read_pods("celery")),
    "the triggerer lists the pods of consumers": (TRIGGERER, read_pods("celery")),
    "the triggerer watches tools that read": (TRIGGERER, read_pods("infra-ops")),
    "the triggerer watches tools of hardening": (TRIGGERER, read_pods("infra-ops-hardening")),
    "the triggerer watches tools of repository": (TRIGGERER, read_pods("infra-ops-repository")),
    "the triggerer watches tools of upkeep": (TRIGGERER, read_pods("infra-ops-upkeep")),
    "platform makes the store's Secrets": (PLATFORM, make_secret("openbao")),
    "platform adds the store's authority for workers": (PLATFORM, change_map("airflow", "infra-ops-ca")),
    "platform adds it for tools of hardening": (PLATFORM, change_map("infra-ops-hardening", "infra-ops-ca")),
    "platform adds it for tools of repository": (PLATFORM, change_map("infra-ops-repository", "infra-ops-ca")),
    "platform gets a token of its own": (PLATFORM, token("infra-ops-platform")),
    "backups lists the pods of the store": (BACKUPS, read_pods("openbao")),
    "backups gets a token of its own": (BACKUPS, token("infra-ops-backups")),
}
DENIED = {
    # Workers' pods carry the tokens of their tasks.
    "the reader lists Airflow's pods": (READER, read_pods("airflow")),
    "upkeep lists Airflow's pods": (UPKEEP, read_pods("airflow")),
    "credentials lists Airflow's pods": (CREDENTIALS, read_pods("airflow")),
    "the triggerer lists Secrets": (TRIGGERER, find_copies),
    "the reader starts a pod": (READER, pod("infra-ops")),
    "upkeep writes a Secret": (UPKEEP, secret("celery", "database")),
    "upkeep restarts a consumer": (UPKEEP, restart("celery")),
    "upkeep's tools list Secrets": (KEEPER, find_copies),
    "upkeep's tools read a certificate's Secret": (KEEPER, read_secret("openbao", "openbao-tls")),
    "upkeep's tools start a pod": (KEEPER, pod("infra-ops-upkeep", "upkeep")),
    "upkeep's tools read the key of the nodes": (KEEPER, read_secret("infra-ops-upkeep", "node-ssh")),
    # Whoever starts a pod in a namespace takes any of its accounts.
    "upkeep starts a tool of hardening": (UPKEEP, pod("infra-ops-hardening", "hardening")),
    "upkeep starts a tool of repository": (UPKEEP, pod("infra-ops-repository", "repository")),
    "repository starts a tool of hardening": (REPOSITORY, pod("infra-ops-hardening", "hardening")),
    "repository starts a tool of upkeep": (REPOSITORY, pod("infra-ops-upkeep", "upkeep")),
    "repository starts a tool that reads": (REPOSITORY, pod("infra-ops")),
    "hardening starts a tool of repository": (HARDENING, pod("infra-ops-repository", "repository")),
    "hardening starts a tool of upkeep": (HARDENING, pod("infra-ops-upkeep", "upkeep")),
    "the triggerer starts a tool of hardening": (TRIGGERER, pod("infra-ops-hardening", "hardening")),
    # Nor does whoever keeps a journal change what tool pods trust and believe.
    "upkeep changes whom hardening trusts": (UPKEEP, change_map("infra-ops-hardening", "infra-ops-ca")),
    "repository changes whom hardening trusts": (REPOSITORY, change_map("infra-ops-hardening", "infra-ops-ca")),
    "repository changes whom its tools trust": (REPOSITORY, change_map("infra-ops-repository", "infra-ops-ca")),
    "repository's tools change where the store is": (EDITOR, change_map("infra-ops-repository", "toolbox")),
    "upkeep's tools change the inventory": (KEEPER, change_map("infra-ops-upkeep", "infra-ops-include")),
    "platform changes the inventory of hardening": (PLATFORM, change_map("infra-ops-hardening", "infra-ops-include")),
    "hardening lists Secrets": (HARDENING, find_copies),
    "hardening makes a Secret": (HARDENING, make_secret("infra-ops-hardening")),
    "hardening lists nodes": (HARDENING, read_nodes),
    "hardening's tools start a pod": (HARDENER, pod("infra-ops-hardening", "hardening")),
    "hardening's tools make a Secret elsewhere": (HARDENER, make_secret("infra-ops")),
    "hardening's tools delete a Secret": (HARDENER, delete_secret("celery", "database")),
    "hardening's tools restart a consumer": (HARDENER, restart("celery")),
    "repository lists Secrets": (REPOSITORY, find_copies),
    "repository lists nodes": (REPOSITORY, read_nodes),
    "repository deletes a journal": (REPOSITORY, delete_journal),
    "repository's tools start a pod": (EDITOR, pod("infra-ops-repository", "repository")),
    "repository's tools read the key of the nodes": (EDITOR, read_secret("infra-ops-hardening", "node-ssh")),
    "repository's tools list Secrets": (EDITOR, find_copies),
    "repository's tools list nodes": (EDITOR, read_nodes),
    "the reader asks for a server's etcd member": (READER, read_readiness),
    "credentials writes another Secret of a consumer": (CREDENTIALS, secret("celery", "another")),
    "credentials writes the key of the nodes": (CREDENTIALS, secret("airflow", "node-ssh")),
    "credentials restarts Airflow": (CREDENTIALS, restart("airflow")),
    "credentials starts a pod": (CREDENTIALS, pod("celery")),
    "credentials deletes a journal": (CREDENTIALS, delete_journal),
    "platform makes a Secret elsewhere": (PLATFORM, make_secret("celery")),
    "platform reads a credential's copy": (PLATFORM, read_secret("celery", "database")),
    "platform gets another's token": (PLATFORM, token("infra-ops-credentials")),
    "backups reads the seal key": (BACKUPS, read_secret("openbao", "openbao-seal")),
    "backups gets another's token": (BACKUPS, token("infra-ops-platform")),
    "the destroyer reads a Secret": (DESTROYER, read_secret("openbao", "openbao-recovery")),
    "the destroyer lists pods": (DESTROYER, read_pods("celery")),
    "the triggerer writes a Secret": (TRIGGERER, secret("celery", "database")),
}


@pytest.mark.parametrize(("account", "call"), ALLOWED.values(), ids=ALLOWED)
def test_an_account_may_do_its_work(applied: Cluster, account: str, call: Call) -> None:
    """Without this, an account that may do nothing at all would pass the next test."""
    call(as_account(applied, account))


@pytest.mark.parametrize(("account", "call"), DENIED.values(), ids=DENIED)
def test_an_account_is_refused_what_is_not_its_work(applied: Cluster, account: str, call: Call) -> None:
    with pytest.raises(ApiException) as refusal:
        call(as_account(applied, account))
    assert refusal.value.status == 403
    assert f"system:serviceaccount:{account.replace('/', ':')}" in refusal.value.body


def test_a_restart_of_a_consumer_is_not_refused(applied: Cluster) -> None:
    """There is no such Deployment here: 404 comes after the question of rights."""
    with pytest.raises(ApiException) as answer:
        restart("celery")(as_account(applied, CREDENTIALS))
    assert answer.value.status == 404


def test_the_cluster_answers_the_chapters_questions_as_it_says(applied: Cluster, tmp_path: Path) -> None:
    assert run(block("auth can-i"), tmp_path, KUBECONFIG=str(applied.kubeconfig)).split() == ["no", "yes"]


def test_the_server_takes_every_object_without_a_complaint(applied: Cluster, tmp_path: Path) -> None:
    """Strict: unknown fields are refused, and nothing but the server's verdict counts."""
    folder = checkout(tmp_path)
    command = "kubectl apply --server-side --field-manager infra-ops --validate=strict --dry-run=server"
    for what in ("-k include", "-f include/manifests/infra-ops/console.yaml"):
        assert "serverside-applied" in run(f"{command} {what}", folder, KUBECONFIG=str(applied.kubeconfig))
