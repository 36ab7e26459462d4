"""Role-based access control: may this user do this, what may they do at all, and may they hand it on?

https://kubernetes.io/docs/reference/access-authn-authz/rbac/; behaviour and texts:
k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac and pkg/registry/rbac.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lab.apiserver import selectors
from lab.apiserver.rbacrules import Attributes, Rule, allows, described, go_list, missing

__all__ = ["Attributes", "Decision", "Policy", "User"]

Object = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
MASTERS = "system:masters"
SERVICE_ACCOUNT = "system:serviceaccount:"
EVERYTHING: list[Rule] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]


@dataclass(frozen=True)
class User:
    """Who asks, as authentication found them."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """``reason`` names the binding that allows, or the roles that a denied user's bindings miss."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True)
class Grant:
    """One binding that names the user, with the role that it refers to (rules is None when there is no such role)."""

    binding: Object
    subject: Object
    rules: list[Rule] | None

    def __str__(self) -> str:
        metadata, role = self.binding["metadata"], self.binding["roleRef"]
        inside = f"/{metadata['namespace']}" if metadata.get("namespace") else ""
        kind = "RoleBinding" if inside else "ClusterRoleBinding"
        who = self.subject["name"]
        if self.subject["kind"] == "ServiceAccount":
            who += f"/{self.subject.get('namespace') or metadata.get('namespace')}"
        return (
            f'{kind} "{metadata["name"]}{inside}" of {role["kind"]} "{role["name"]}" to {self.subject["kind"]} "{who}"'
        )


class Policy:
    """All roles and bindings of one moment."""

    def __init__(
        self,
        roles: Iterable[Object],
        cluster_roles: Iterable[Object],
        role_bindings: Iterable[Object],
        cluster_role_bindings: Iterable[Object],
    ) -> None:
        cluster_roles = list(cluster_roles)
        self._rules: dict[tuple[str, str, str], list[Rule]] = {
            ("Role", role["metadata"]["namespace"], role["metadata"]["name"]): role.get("rules") or [] for role in roles
        }
        for role in cluster_roles:
            self._rules["ClusterRole", "", role["metadata"]["name"]] = effective_rules(role, cluster_roles)
        self._role_bindings = list(role_bindings)
        self._cluster_role_bindings = list(cluster_role_bindings)

    def decide(self, user: User, attributes: Attributes) -> Decision:
        """The first rule that allows decides; nothing can deny what another rule allows."""
        lost = []
        for grant in self._grants(user, attributes.namespace):
            if grant.rules is None:
                lost.append(_no_role(grant.binding))
            elif any(allows(rule, attributes) for rule in grant.rules):
                return Decision(True, f"RBAC: allowed by {grant}")
        if not lost:
            return Decision(False)
        return Decision(False, "RBAC: " + (lost[0] if len(lost) == 1 else f"[{', '.join(lost)}]"))

    def rules_for(self, user: User, namespace: str) -> list[Rule]:
        """All rules that hold for a user in a namespace (in none, when it is empty), as they stand in the roles."""
        return [rule for grant in self._grants(user, namespace) for rule in grant.rules or ()]

    def escalation(self, user: User, obj: Object) -> str | None:
        """Why a user may not create, or change to this, a role or binding; None when they may.

        Nobody hands on rights that they do not hold, unless they may ``escalate`` the role or ``bind`` the role that a
        binding refers to. A real server asks this only when rules, subjects or reference change.
        """
        if MASTERS in user.groups:
            return None
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        if "roleRef" in obj:
            return self._may_bind(user, obj, namespace)
        plural = "roles" if obj["kind"] == "Role" else "clusterroles"
        escalate = Attributes("escalate", GROUP, plural, name=name, namespace=namespace)
        if self.decide(user, escalate).allowed:
            return None
        if obj.get("aggregationRule") and missing(self.rules_for(user, ""), EVERYTHING):
            return "must have cluster-admin privileges to use the aggregationRule"
        return self._lacking(user, namespace, obj.get("rules") or [])

    def _may_bind(self, user: User, binding: Object, namespace: str) -> str | None:
        role = binding["roleRef"]
        plural = "roles" if role["kind"] == "Role" else "clusterroles"
        if self.decide(user, Attributes("bind", GROUP, plural, name=role["name"], namespace=namespace)).allowed:
            return None
        rules = self._referred(binding)
        return _no_role(binding) if rules is None else self._lacking(user, namespace, rules)

    def _lacking(self, user: User, namespace: str, rules: list[Rule]) -> str | None:
        lacking = missing(self.rules_for(user, namespace), rules)
        if not lacking:
            return None
        return (
            f'user "{user.name}" (groups={go_list(user.groups)}) is attempting to grant RBAC permissions not currently '
            f"held:\n{described(lacking)}"
        )

    def _grants(self, user: User, namespace: str) -> Iterator[Grant]:
        inside = (item for item in self._role_bindings if namespace and item["metadata"]["namespace"] == namespace)
        for binding in (*self._cluster_role_bindings, *inside):
            for subject in binding.get("subjects") or ():
                if _is_subject(user, subject, binding["metadata"].get("namespace", "")):
                    yield Grant(binding, subject, self._referred(binding))
                    break

    def _referred(self, binding: Object) -> list[Rule] | None:
        role = binding["roleRef"]
        namespace = binding["metadata"].get("namespace", "") if role["kind"] == "Role" else ""
        return self._rules.get((role["kind"], namespace, role["name"]))


def effective_rules(role: Object, cluster_roles: Iterable[Object]) -> list[Rule]:
    """The rules of a ClusterRole: its own, or with an aggregationRule those of all roles that its selectors match."""
    if not role.get("aggregationRule"):
        return role.get("rules") or []
    found: dict[str, Object] = {}
    _aggregate(role, list(cluster_roles), found)
    rules: list[Rule] = []
    for name in sorted(found):
        rules += [rule for rule in found[name].get("rules") or () if rule not in rules]
    return rules


def _aggregate(role: Object, cluster_roles: list[Object], found: dict[str, Object]) -> None:
    """Collect the roles below an aggregating one; such roles may themselves aggregate, even in a circle."""
    tests = [selectors.by_object(spec) for spec in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    for other in cluster_roles:
        name, labels = other["metadata"]["name"], other["metadata"].get("labels") or {}
        if name in found or other is role or not any(test(labels) for test in tests):
            continue
        found[name] = {} if other.get("aggregationRule") else other
        if other.get("aggregationRule"):
            _aggregate(other, cluster_roles, found)


def _is_subject(user: User, subject: Object, namespace: str) -> bool:
    match subject["kind"]:
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            home = subject.get("namespace") or namespace
            return bool(home) and user.name == f"{SERVICE_ACCOUNT}{home}:{subject['name']}"
        case _:
            return False


def _no_role(binding: Object) -> str:
    role = binding["roleRef"]
    return f'{role["kind"].lower()}.{GROUP} "{role["name"]}" not found'
