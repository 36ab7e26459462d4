"""Who may do what on the real cluster, read from the manifests: least privilege, and no word more than is needed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra_ops.include import inventory
from infra_ops.models.services import Flower

MANIFESTS = Path(__file__).parents[3] / "include" / "manifests" / "infra-ops"
OBJECTS: list[dict[str, Any]] = [
    item
    for name in yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    for item in yaml.safe_load_all((MANIFESTS / name).read_text())
]
# Made by Airflow's Helm chart, and by the runbook that deploys the component.
ELSEWHERE = {("airflow", "airflow-triggerer"), ("openbao", "openbao")}
BUILT_IN = {"system:auth-delegator"}
TOOLS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((MANIFESTS / "tool-pods").glob("*.yaml"))}
# What a right to write it comes to: running something as any account of the namespace, with any Secret of it.
RUNNING = {
    *(
        "pods",
        "pods/exec",
        "pods/attach",
        "pods/ephemeralcontainers",
        "replicationcontrollers",
        "serviceaccounts/token",
    ),
    *("deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"),
}


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [item for item in OBJECTS if item["kind"] in kinds]


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule with the name of its role."""
    for role in of_kind("Role", "ClusterRole"):
        for rule in role["rules"]:
            yield f"{role['kind']} {role['metadata'].get('namespace', '')}/{role['metadata']['name']}", rule


def test_no_rule_has_a_wildcard() -> None:
    for role, rule in rules():
        assert not [value for values in rule.values() for value in values if "*" in value], role


def test_nothing_is_written_across_the_whole_cluster() -> None:
    """But for what encrypting Secrets is: writing every one again. Some ClusterRoles are bound in namespaces only."""
    bound = {binding["roleRef"]["name"] for binding in of_kind("ClusterRoleBinding")}
    for role in of_kind("ClusterRole"):
        for rule in role["rules"] if role["metadata"]["name"] in bound else []:
            more = {"update"} if role["metadata"]["name"] == "infra-ops-secret-rewriter" else set()
            assert set(rule["verbs"]) <= {"get", "list", "watch"} | more, role["metadata"]["name"]


def test_secrets_are_reached_by_name_only() -> None:
    """To list or watch Secrets is to read them all: only who looks for forgotten copies may, and who encrypts them, and
    may nothing more. A right to create cannot be given by name.
    """
    known = {
        "ClusterRole /infra-ops-copy-finder": {"resources": ["secrets", "configmaps"], "verbs": ["list"]},
        "ClusterRole /infra-ops-secret-rewriter": {"resources": ["secrets"], "verbs": ["get", "list", "update"]},
    }
    for name, wanted in known.items():
        assert [rule for role, rule in rules() if role == name] == [{"apiGroups": [""], **wanted}]
    for role, rule in rules():
        if "secrets" in rule.get("resources", []) and role not in known and rule["verbs"] != ["create"]:
            assert rule["resources"] == ["secrets"], role
            assert rule["resourceNames"], role
            assert set(rule["verbs"]) == {"get", "patch"}, role


def test_every_binding_names_a_role_and_an_account_that_exist() -> None:
    roles = {(role["kind"], role["metadata"].get("namespace"), role["metadata"]["name"]) for role in OBJECTS}
    accounts = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in of_kind("ServiceAccount")}
    for binding in of_kind("RoleBinding", "ClusterRoleBinding"):
        namespace = binding["metadata"].get("namespace") if binding["roleRef"]["kind"] == "Role" else None
        assert (
            binding["roleRef"]["name"] in BUILT_IN
            or (binding["roleRef"]["kind"], namespace, binding["roleRef"]["name"]) in roles
        )
        for subject in binding["subjects"]:
            assert (subject["namespace"], subject["name"]) in accounts | ELSEWHERE


def test_the_rotating_account_reaches_the_copies_that_the_inventory_knows_and_no_other_secret() -> None:
    known = defaultdict(set)
    for credential in inventory().credentials.values():
        for consumer in credential.consumers:
            known[consumer.secret.namespace].add(consumer.secret.name)
        if isinstance(credential.target, Flower):
            known[credential.target.namespace].add(credential.target.secret)
    reached = {
        role["metadata"]["namespace"]: set(rule["resourceNames"])
        for role in of_kind("Role")
        if role["metadata"]["name"] == "credential-writer"
        for rule in role["rules"]
        if "secrets" in rule.get("resources", [])
    }
    assert reached == known


def test_the_rotating_account_restarts_workloads_only_where_a_consumer_is_restarted() -> None:
    wanted = set()
    for credential in inventory().credentials.values():
        wanted |= {consumer.secret.namespace for consumer in credential.consumers if consumer.restart}
        if isinstance(credential.target, Flower):
            wanted.add(credential.target.namespace)
    assert wanted == {
        role["metadata"]["namespace"]
        for role in of_kind("Role")
        for rule in role["rules"]
        if "deployments" in rule.get("resources", []) and "patch" in rule["verbs"]
    }


def launchers(namespace: str) -> set[tuple[str, str]]:
    """Who may run something there."""
    roles = {
        (role["kind"], role["metadata"].get("namespace"), role["metadata"]["name"])
        for role in of_kind("Role", "ClusterRole")
        for rule in role["rules"]
        if RUNNING & set(rule.get("resources", [])) and not set(rule["verbs"]) <= {"get", "list", "watch"}
    }
    return {
        (subject["namespace"], subject["name"])
        for binding in of_kind("RoleBinding", "ClusterRoleBinding")
        if binding["metadata"].get("namespace") in (namespace, None)
        and (
            binding["roleRef"]["kind"],
            binding["metadata"].get("namespace") if binding["roleRef"]["kind"] == "Role" else None,
            binding["roleRef"]["name"],
        )
        in roles
        for subject in binding["subjects"]
    }


@pytest.mark.parametrize("area", TOOLS)
def test_only_an_areas_own_workers_run_something_where_its_tool_pods_run(area: str) -> None:
    """Whoever else did could do it as the account of these pods. Pods that only read are started by upkeep."""
    worker = "infra-ops-upkeep" if area == "reader" else f"infra-ops-{area}"
    assert launchers(TOOLS[area]["metadata"]["namespace"]) == {("airflow", worker)}


def test_no_two_areas_tool_pods_share_a_namespace() -> None:
    assert len({pod["metadata"]["namespace"] for pod in TOOLS.values()}) == len(TOOLS)


def test_the_triggerer_sees_the_pods_that_it_waits_for() -> None:
    watched = {
        binding["metadata"]["namespace"]
        for binding in of_kind("RoleBinding")
        if binding["roleRef"]["name"] == "infra-ops-tool-watcher"
        if ("airflow", "airflow-triggerer") in {(each["namespace"], each["name"]) for each in binding["subjects"]}
    }
    assert watched == {pod["metadata"]["namespace"] for pod in TOOLS.values()}


@pytest.mark.parametrize("area", TOOLS)
def test_a_tool_pod_logs_in_to_the_store_as_nobody_but_itself(area: str) -> None:
    (container,) = TOOLS[area]["spec"]["containers"]
    for variable in container.get("env", []):
        if variable["name"] == "VAULT_KUBERNETES_ROLE":
            role = json.loads((MANIFESTS / "openbao" / "roles" / f"{variable['value']}.json").read_text())
            assert role["bound_service_account_names"] == [area]
            assert role["bound_service_account_namespaces"] == [TOOLS[area]["metadata"]["namespace"]]


@pytest.mark.parametrize("area", sorted(path.stem for path in (MANIFESTS / "pod-templates").glob("*.yaml")))
def test_every_area_has_an_account_a_pod_template_and_a_login_of_its_own(area: str) -> None:
    spec = yaml.safe_load((MANIFESTS / "pod-templates" / f"{area}.yaml").read_text())["spec"]
    account = f"infra-ops-{area}"
    assert spec["serviceAccountName"] == account
    assert account in [item["metadata"]["name"] for item in of_kind("ServiceAccount")]
    assert (MANIFESTS / "openbao" / "roles" / f"{account}.json").exists()
