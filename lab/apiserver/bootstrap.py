"""The ClusterRoles and ClusterRoleBindings that a server makes for itself, from data/bootstrap-policy.yaml."""

from __future__ import annotations

from typing import Any

import yaml

from lab.apiserver.authorization import GROUP
from lab.apiserver.schemas import DATA

Object = dict[str, Any]

AGGREGATE = f"{GROUP}/aggregate-to-"
OWN_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
OWN_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}


def bootstrap_policy() -> list[Object]:
    """The objects to create where they are missing; roles come before the bindings that name them."""
    policy = yaml.safe_load((DATA / "bootstrap-policy.yaml").read_text())
    roles = [_role(name, **entry) for name, entry in policy["clusterRoles"].items()]
    return roles + [_binding(name, **entry) for name, entry in policy["clusterRoleBindings"].items()]


def _object(kind: str, name: str, labels: dict[str, str]) -> Object:
    metadata = {"name": name, "labels": OWN_LABELS | labels, "annotations": dict(OWN_ANNOTATIONS)}
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata}


def _role(name: str, rules: list[Object] | None = None, sums: str = "", counts_to: str = "") -> Object:
    """``sums``: its rules are those of all roles that count to this name; ``counts_to``: the name it counts to."""
    role = _object("ClusterRole", name, {AGGREGATE + counts_to: "true"} if counts_to else {})
    if sums:
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {AGGREGATE + sums: "true"}}]}
    return role | {"rules": rules or []}


def _binding(name: str, to: dict[str, str | list[str]], role: str = "") -> Object:
    """``to``: subject names by kind; ``role``: the ClusterRole, named like the binding unless it says otherwise."""
    subjects = [
        {"kind": kind, "apiGroup": GROUP, "name": subject}
        for kind, named in to.items()
        for subject in ([named] if isinstance(named, str) else named)
    ]
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": role or name}
    return _object("ClusterRoleBinding", name, {}) | {"roleRef": reference, "subjects": subjects}
