"""What is applied to the real cluster: valid, restricted, and at one with the code that relies on it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf
from airflow.providers.cncf.kubernetes.get_provider_info import get_provider_info
from airflow.providers.hashicorp.secrets.vault import VaultBackend

from infra_ops import include
from infra_ops.airflow.tool_pod import IMAGE
from infra_ops.models.connections import FOLDER
from infra_ops.models.schemas import FILES
from infra_ops.operations.store.secrets import TRUSTING
from lab.apiserver.podsecurity import violations
from lab.apiserver.schemas import Schemas
from lab.apiserver.validation import check

PROJECT = Path(__file__).parents[3]
INCLUDE = PROJECT / "include"
MANIFESTS = INCLUDE / "manifests" / "infra-ops"
STORE = INCLUDE / "manifests" / "openbao"
PODS = [*sorted((MANIFESTS / "pod-templates").glob("*.yaml")), MANIFESTS / "console.yaml"]
TOOL_PODS = sorted((MANIFESTS / "tool-pods").glob("*.yaml"))
VALUES_FILE = MANIFESTS / "airflow-values.yaml"
VALUES = yaml.safe_load(VALUES_FILE.read_text())
AUTHORITIES = ("ConfigMap", "infra-ops-ca")  # no manifest: docs/real-cluster.md makes it, deploy_openbao adds to it


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas()


@pytest.fixture(scope="module")
def applied() -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    kubectl = Path(sys.executable).parent / "kubectl"
    result = subprocess.run([kubectl, "kustomize", INCLUDE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


@pytest.fixture(scope="module")
def worker(applied: list[dict[str, Any]]) -> dict[str, str]:
    """The environment that every worker gets."""
    (data,) = [item["data"] for item in applied if item["metadata"]["name"] == "airflow-worker"]
    return data


def faults(schemas: Schemas, item: dict[str, Any]) -> list[object]:
    group, _, version = item["apiVersion"].rpartition("/")
    schema = schemas.find(group, version, item["kind"])
    assert schema, item["kind"]
    findings = check(schemas, schema, item)
    return [*findings.unknown, *findings.errors]


def test_every_object_is_valid_and_marked_as_ours(applied: list[dict[str, Any]], schemas: Schemas) -> None:
    for item in applied:
        assert faults(schemas, item) == [], item["metadata"]["name"]
        assert item["metadata"]["labels"]["app.kubernetes.io/part-of"] == "infra-ops"


def test_nothing_that_is_applied_holds_a_secret(applied: list[dict[str, Any]]) -> None:
    assert "Secret" not in {item["kind"] for item in applied}


@pytest.mark.parametrize("file", [*PODS, MANIFESTS / "copies.yaml"], ids=lambda file: file.stem)
def test_every_pod_is_valid_and_meets_the_restricted_standard(file: Path, schemas: Schemas) -> None:
    pod = yaml.safe_load(file.read_text())
    assert faults(schemas, pod) == []
    assert violations("restricted", pod["metadata"], pod["spec"]) == []


@pytest.mark.parametrize("file", TOOL_PODS, ids=lambda file: file.stem)
def test_every_tool_pod_is_valid_and_finds_in_its_namespace_an_account_of_its_name_and_what_it_mounts(
    file: Path, applied: list[dict[str, Any]], schemas: Schemas
) -> None:
    """Its restrictions come from the operator: tests/unit/infra_ops/test_tool_pod.py."""
    pod = yaml.safe_load(file.read_text())
    assert faults(schemas, pod) == []
    namespace = pod["metadata"]["namespace"]
    there = {
        (item["kind"], item["metadata"]["name"]) for item in applied if item["metadata"].get("namespace") == namespace
    }
    if namespace in TRUSTING:
        there.add(AUTHORITIES)
    assert pod["spec"]["serviceAccountName"] == file.stem
    assert {("ServiceAccount", file.stem), *config_maps(pod)} <= there


def config_maps(pod: dict[str, Any]) -> set[tuple[str, str]]:
    (container,) = pod["spec"]["containers"]
    sources = [*container.get("envFrom", []), *pod["spec"].get("volumes", [])]
    found = [source.get("configMapRef") or source.get("configMap") for source in sources]
    return {("ConfigMap", each["name"]) for each in found if each}


def test_the_store_is_trusted_in_every_namespace_where_a_pod_mounts_the_authorities_and_nowhere_else() -> None:
    templates = [yaml.safe_load(file.read_text()) for file in [*PODS, *TOOL_PODS]]
    mounting = {pod["metadata"].get("namespace", "airflow") for pod in templates if AUTHORITIES in config_maps(pod)}
    assert set(TRUSTING) == mounting


def test_every_namespace_that_is_applied_enforces_what_the_inventory_says(applied: list[dict[str, Any]]) -> None:
    meant = include.inventory().namespaces
    for item in applied:
        if item["kind"] == "Namespace":
            level = item["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
            assert level == meant[item["metadata"]["name"]].pod_security == "restricted"


def test_the_secrets_backend_takes_its_arguments(worker: dict[str, str]) -> None:
    """And asks where the policy lets it: connections by their id, below airflow/connections."""
    backend = VaultBackend(**json.loads(worker["AIRFLOW__SECRETS__BACKEND_KWARGS"]))
    policy = (MANIFESTS / "openbao" / "policies" / "infra-ops-connections.hcl").read_text()
    assert f'path "{backend.mount_point}/data/{backend.connections_path}/+"' in policy
    assert (backend.mount_point, backend.connections_path) == (include.inventory().store.mount, FOLDER)
    assert worker["AIRFLOW__SECRETS__BACKEND"] == f"{VaultBackend.__module__}.{VaultBackend.__qualname__}"
    role = json.loads(worker["AIRFLOW__SECRETS__BACKEND_KWARGS"])["kubernetes_role"]
    assert (MANIFESTS / "openbao" / "roles" / f"{role}.json").exists()


def test_workers_and_triggerer_look_for_the_store_in_the_same_place(worker: dict[str, str]) -> None:
    triggerer = {variable["name"]: variable["value"] for variable in VALUES["triggerer"]["env"]}
    role = triggerer.pop("VAULT_KUBERNETES_ROLE")
    assert triggerer == {name: worker[name] for name in triggerer}
    assert (MANIFESTS / "openbao" / "roles" / f"{role}.json").exists()


def test_workers_and_components_find_the_cluster_in_the_same_way(worker: dict[str, str]) -> None:
    (variable,) = [each for each in VALUES["env"] if each["name"] == "AIRFLOW_CONN_KUBERNETES_DEFAULT"]
    assert worker[variable["name"]] == variable["value"]
    assert json.loads(variable["value"])["conn_type"] == "kubernetes"


def test_the_cluster_gets_the_inventory_as_it_is_here(applied: list[dict[str, Any]]) -> None:
    described = {
        item["metadata"]["namespace"]: item["data"]
        for item in applied
        if item["metadata"]["name"] == "infra-ops-include"
    }
    files = {f"{name}.yaml": (INCLUDE / f"{name}.yaml").read_text() for name in FILES}
    templates = [yaml.safe_load(file.read_text()) for file in TOOL_PODS]
    reading = {
        pod["metadata"]["namespace"] for pod in templates if ("ConfigMap", "infra-ops-include") in config_maps(pod)
    }
    assert described == dict.fromkeys({"airflow", *reading}, files)


def test_workers_and_tools_look_for_the_store_in_the_same_place(
    applied: list[dict[str, Any]], worker: dict[str, str]
) -> None:
    found = [item["data"] for item in applied if item["metadata"]["name"] == "toolbox"]
    assert found
    for tools in found:
        assert tools == {name: worker[name] for name in tools}


@pytest.mark.parametrize("where", [*PODS, VALUES_FILE], ids=lambda file: file.stem)
def test_whatever_runs_this_package_reads_the_inventory_from_the_cluster(where: Path) -> None:
    """From where both images look for it; a mount with subPath would never follow a change."""
    parsed = yaml.safe_load(where.read_text())
    volumes, mounts = (
        (parsed["spec"]["volumes"], parsed["spec"]["containers"][0]["volumeMounts"])
        if where in PODS
        else (parsed["volumes"], parsed["volumeMounts"])  # of every component
    )
    (name,) = [volume["name"] for volume in volumes if volume.get("configMap") == {"name": "infra-ops-include"}]
    (mount,) = [mount for mount in mounts if mount["name"] == name]
    assert mount == {"name": name, "mountPath": "/etc/infra-ops/include", "readOnly": True}
    for dockerfile in PROJECT.glob("docker/*/Dockerfile"):
        assert f"INFRA_OPS_INCLUDE={mount['mountPath']} " in dockerfile.read_text()


def test_every_setting_in_the_chart_values_is_one_that_this_airflow_knows() -> None:
    """A misspelt one would be passed over in silence."""
    sections = {**conf.configuration_description, **get_provider_info()["config"]}
    for section, options in VALUES["config"].items():
        assert options.keys() <= sections[section]["options"].keys(), section


def test_the_names_of_the_images_carry_the_version_of_this_package(worker: dict[str, str]) -> None:
    version = re.search(r'^version = "(.*)"', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert VALUES["images"]["airflow"]["tag"] == version[1]
    console = yaml.safe_load((MANIFESTS / "console.yaml").read_text())
    for image in (IMAGE, worker["INFRA_OPS_TOOLBOX_IMAGE"], console["spec"]["containers"][0]["image"]):
        assert image.endswith(f"infra-ops/toolbox:{version[1]}")  # a registry may stand before it


@pytest.mark.parametrize("file", ["server.yaml", "scratch.yaml"])
def test_the_pods_of_the_store_are_restricted_and_read_their_keys_from_secrets(file: str, schemas: Schemas) -> None:
    found = list(yaml.safe_load_all((STORE / file).read_text()))
    for item in found:
        assert faults(schemas, item) == [], item["metadata"]["name"]
    (template,) = [item["spec"]["template"] for item in found if item["kind"] == "StatefulSet"]
    assert violations("restricted", template["metadata"], template["spec"]) == []
    assert {v["secret"]["secretName"] for v in template["spec"]["volumes"] if "secret" in v} == {
        "openbao-seal",
        "openbao-tls",
    }


def test_a_snapshot_is_restored_into_the_version_that_it_was_taken_of() -> None:
    """The two StatefulSets differ in what they must; an image of one alone would prove nothing about the other."""
    images = set(
        re.findall(r"image: (\S+)", (STORE / "server.yaml").read_text() + (STORE / "scratch.yaml").read_text())
    )
    assert images == {"openbao/openbao:2.7.2"}


def test_the_stores_manifests_hold_no_secret() -> None:
    for file in STORE.glob("*.yaml"):
        assert "Secret" not in {item["kind"] for item in yaml.safe_load_all(file.read_text())}
