"""The seed file describes the roadmap's cluster, and a broken one is refused in one sentence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
import yaml

from infra_ops.models.documents import DocumentError
from infra_ops.models.inventory import Inventory
from lab import credentials
from lab.inventory import load as load_inventory
from lab.inventory import placed
from lab.seed.cluster import load
from lab.seed.objects import objects, places
from lab.seed.templates import words

PROJECT = Path(__file__).resolve().parents[3]
NODES = 8
PASSWORDS = {name: f"{name}&its!password" for name in (*credentials.EXPOSED, "valkey")}


def addresses() -> dict[str, str]:
    """An address for each port of the seed's Services."""
    names = [
        f"{item['metadata']['namespace']}/{item['metadata']['name']}:{item['spec']['ports'][0]['port']}"
        for item in places(load())
        if item["kind"] == "Service"
    ]
    return {name: f"127.0.0.1:{number}" for number, name in enumerate(names, 30000)}


def everything() -> Iterator[dict[str, Any]]:
    yield from places(load())
    yield from objects(load(), words(PASSWORDS, addresses()))


def secret(namespace: str, name: str) -> dict[str, str]:
    """The data of one of the seed's Secrets."""
    (found,) = (
        item["stringData"]
        for item in everything()
        if item["kind"] == "Secret" and (item["metadata"]["namespace"], item["metadata"]["name"]) == (namespace, name)
    )
    return dict(found)


def test_the_roadmaps_cluster_runs_116_pods() -> None:
    """The roadmap says 'All 116 pods running'."""
    workloads = [workload for namespace in load().namespaces.values() for workload in namespace.workloads]
    assert sum(NODES if w.kind == "DaemonSet" else w.replicas for w in workloads) == 116


def test_every_exposed_credential_has_a_copy_in_a_secret() -> None:
    """The seven credential ids of the design each stand in at least one Secret of a consumer."""
    copies = [value for item in everything() if item["kind"] == "Secret" for value in item["stringData"].values()]
    assert {name for name in credentials.EXPOSED if any(PASSWORDS[name] in copy for copy in copies)} == {
        "postgres_appuser",
        "flower_celery",
        "flower_financial_screener",
        "synology_admin",
        "pihole_admin",
        "grafana_admin",
        "airflow_admin",
    }


@pytest.mark.parametrize(
    ("namespace", "name", "key"),
    [("celery", "database", "DATABASE_URL"), ("databases", "postgres-exporter", "DATA_SOURCE_NAME")],
)
def test_an_url_holds_a_quoted_password_and_an_address_that_exists(namespace: str, name: str, key: str) -> None:
    """`&` and `!` may stand in a URL as they are, but a rotation compares the copy with the quoted form."""
    url = urlsplit(secret(namespace, name)[key])
    assert url.password == "postgres_appuser%26its%21password"
    assert unquote(url.password) == PASSWORDS["postgres_appuser"]
    assert f"{url.hostname}:{url.port}" == addresses()["databases/postgresql:5432"]


def test_the_copies_are_those_that_the_inventory_lists() -> None:
    """Word for word what a rotation writes, or it would refuse them as somebody else's change."""
    inventory = Inventory.model_validate(placed(load_inventory().model_dump(mode="json"), addresses()))
    for id_, spec in inventory.rotated().items():
        password = PASSWORDS[id_]
        login = {"username": credentials.USERS[id_], "password": password, "password_url": quote(password, safe="")}
        for consumer in spec.consumers:
            copy = secret(consumer.secret.namespace, consumer.secret.name)
            wanted = {key: template.format(**login) for key, template in consumer.secret.fields.items()}
            assert copy.items() >= wanted.items()


def test_grafana_and_its_sidecars_have_the_secrets_password_in_their_environment() -> None:
    """A sidecar that does not keep the old one could not show what a rotation in the wrong order does."""
    (pod,) = (
        item["spec"]["template"]["spec"]
        for item in everything()
        if item["kind"] == "Deployment" and item["metadata"]["name"] == "grafana"
    )
    environments = [{entry["name"]: entry for entry in container["env"]} for container in pod["containers"]]
    key = {"secretKeyRef": {"name": "grafana", "key": "admin-password"}}
    assert [container["name"] for container in pod["containers"]] == [
        "grafana",
        "grafana-sc-dashboard",
        "grafana-sc-datasources",
    ]
    assert environments[0]["GF_SECURITY_ADMIN_PASSWORD"]["valueFrom"] == key
    assert [each["REQ_PASSWORD"]["valueFrom"] for each in environments[1:]] == [key, key]
    for each in environments[1:]:  # a variable is known to those after it only
        assert list(each).index("POD_IP") < list(each).index("REQ_URL")
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "grafana-data"}} in pod["volumes"]


def test_a_service_leads_to_the_containers_port() -> None:
    ports = {item["metadata"]["name"]: item["spec"]["ports"][0] for item in places(load()) if item["kind"] == "Service"}
    assert (ports["grafana"]["port"], ports["grafana"]["targetPort"]) == (80, 3000)
    assert "targetPort" not in ports["prometheus"]


def test_an_object_follows_the_namespace_and_the_account_that_it_needs() -> None:
    seen: set[tuple[str, str, str]] = set()
    for item in everything():
        metadata = item["metadata"]
        if "namespace" in metadata:
            assert ("Namespace", "", metadata["namespace"]) in seen
        if "template" in item.get("spec", {}):
            account = item["spec"]["template"]["spec"]["serviceAccountName"]
            assert ("ServiceAccount", metadata["namespace"], account) in seen
        seen.add((item["kind"], metadata.get("namespace", ""), metadata["name"]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("namespaces: [", "line 1: this is not YAML"),
        ("namespaces: {a: {workloads: [{name: x}]}}", "line 1: namespaces.a.workloads[0]: image is missing."),
        (
            "namespaces: {a: {workloads: [{name: x, image: y, kind: Job}]}}",
            "workloads[0].kind: found 'Job'; allowed are 'Deployment', 'StatefulSet' or 'DaemonSet'.",
        ),
    ],
)
def test_a_broken_seed_file_is_refused_by_place_and_reason(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with pytest.raises(DocumentError) as caught:
        load(file)
    assert sentence in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreadable_seed_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"absent\.yaml cannot be read: No such file"):
        load(tmp_path / "absent.yaml")


def test_every_image_of_the_seed_can_be_pulled() -> None:
    """An image that lab/images.yaml does not list leaves its pods in ImagePullBackOff."""
    known = set(yaml.safe_load((PROJECT / "lab" / "images.yaml").read_text()))
    workloads = [workload for namespace in load().namespaces.values() for workload in namespace.workloads]
    wanted = {container.image for workload in workloads for container in (workload, *workload.sidecars)}
    names = {image.rpartition(":")[0].removeprefix("docker.io/").removeprefix("library/") for image in wanted}
    assert names <= known
