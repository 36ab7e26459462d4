"""The roles and bindings of a fresh server."""

import pytest

from lab.apiserver.authorization import Attributes, Policy, User, effective_rules
from lab.apiserver.bootstrap import bootstrap_policy
from lab.apiserver.schemas import Schemas
from lab.apiserver.validation import check

OBJECTS = bootstrap_policy()
ROLES = [obj for obj in OBJECTS if obj["kind"] == "ClusterRole"]
BINDINGS = [obj for obj in OBJECTS if obj["kind"] == "ClusterRoleBinding"]
POLICY = Policy([], ROLES, [], BINDINGS)
RBAC = "rbac.authorization.k8s.io"

ROOT = User("lab-admin", "", ("system:masters", "system:authenticated"))
NOBODY = User("system:anonymous", "", ("system:unauthenticated",))
SOMEBODY = User("ann", "", ("system:authenticated",))
KUBELET = User("system:node:lab", "", ("system:nodes", "system:authenticated"))
CONTROLLERS = User("system:kube-controller-manager", "", ("system:authenticated",))


def test_every_object_fits_its_schema(schemas: Schemas) -> None:
    for obj in OBJECTS:
        findings = check(schemas, schemas.find(RBAC, "v1", obj["kind"]), obj)
        assert (findings.unknown, findings.errors) == ([], []), obj["metadata"]["name"]


def test_every_binding_names_a_role_that_exists() -> None:
    names = {role["metadata"]["name"] for role in ROLES}
    assert {binding["roleRef"]["name"] for binding in BINDINGS} <= names


@pytest.mark.parametrize(
    ("who", "wanted", "allowed"),
    [
        (ROOT, Attributes("delete", "", "nodes"), True),
        (ROOT, Attributes("get", path="/metrics"), True),
        (NOBODY, Attributes("get", path="/readyz"), True),
        (NOBODY, Attributes("get", path="/api"), False),
        (NOBODY, Attributes("get", "", "pods"), False),
        (SOMEBODY, Attributes("get", path="/openapi/v3"), True),
        (SOMEBODY, Attributes("get", path="/metrics"), False),
        (SOMEBODY, Attributes("create", "authorization.k8s.io", "selfsubjectaccessreviews"), True),
        (SOMEBODY, Attributes("create", "authorization.k8s.io", "subjectaccessreviews"), False),
        (SOMEBODY, Attributes("get", "", "secrets", namespace="shop"), False),
        (KUBELET, Attributes("patch", "", "nodes", "status"), True),
        (KUBELET, Attributes("create", "", "pods", "binding", namespace="shop"), True),
        (KUBELET, Attributes("create", "", "secrets", namespace="shop"), False),
        (CONTROLLERS, Attributes("update", "", "namespaces", "finalize"), True),
        (CONTROLLERS, Attributes("create", "", "pods", namespace="shop"), True),
        (CONTROLLERS, Attributes("create", RBAC, "clusterrolebindings"), False),
    ],
)
def test_everybody_may_do_their_part_and_no_more(who: User, wanted: Attributes, allowed: bool) -> None:
    assert POLICY.decide(who, wanted).allowed == allowed


@pytest.mark.parametrize(
    ("name", "reads_secrets", "writes_pods", "writes_roles"),
    [("view", False, False, False), ("edit", True, True, False), ("admin", True, True, True)],
)
def test_view_edit_and_admin_each_hold_more(
    name: str, reads_secrets: bool, writes_pods: bool, writes_roles: bool
) -> None:
    subject = {"kind": "User", "name": "ann"}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    bound = {"metadata": {"name": "b", "namespace": "shop"}, "roleRef": role, "subjects": [subject]}
    policy = Policy([], ROLES, [bound], BINDINGS)

    def may(verb: str, group: str, resource: str) -> bool:
        return policy.decide(SOMEBODY, Attributes(verb, group, resource, namespace="shop")).allowed

    assert may("get", "", "pods")
    assert (may("get", "", "secrets"), may("create", "", "pods"), may("create", RBAC, "roles")) == (
        reads_secrets,
        writes_pods,
        writes_roles,
    )


def test_the_rules_of_a_sum_can_be_shown() -> None:
    (admin,) = (role for role in ROLES if role["metadata"]["name"] == "admin")
    parts = [role for role in ROLES if role["metadata"]["name"].startswith("system:aggregate-to-")]
    shown = effective_rules(admin, ROLES)
    assert all(rule in shown for part in parts for rule in part["rules"])
