"""RBAC rules: what one rule allows, which rules cover others, and how rules are written in messages.

A rule is a PolicyRule as it stands in a Role: verbs, apiGroups, resources, resourceNames, nonResourceURLs.
Behaviour: k8s.io/kubernetes/pkg/registry/rbac/validation and pkg/apis/rbac/v1/evaluation_helpers.go.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Rule = dict[str, Any]

ALL = "*"


@dataclass(frozen=True)
class Attributes:
    """What a request wants to do: with a resource, or with ``path`` where there is none (``/healthz``)."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    path: str = ""


def allows(rule: Rule, wanted: Attributes) -> bool:
    """Does this rule alone allow the request?"""
    if not _has(rule.get("verbs"), wanted.verb):
        return False
    if wanted.path:
        return any(_url_covers(url, wanted.path) for url in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames")
    resource = f"{wanted.resource}/{wanted.subresource}" if wanted.subresource else wanted.resource
    return (
        _has(rule.get("apiGroups"), wanted.group)
        and any(_resource_covers(own, resource) for own in rule.get("resources") or ())
        and (not names or wanted.name in names)
    )


def _has(own: Iterable[str] | None, wanted: str) -> bool:
    return any(one in (ALL, wanted) for one in own or ())


def _resource_covers(own: str, wanted: str) -> bool:
    """``*`` covers everything, ``*/scale`` that subresource of any resource; a resource not its subresources."""
    if own in (ALL, wanted):
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and own == f"*/{subresource}"


def _url_covers(own: str, wanted: str) -> bool:
    return own in (ALL, wanted) or (own.endswith(ALL) and wanted.startswith(own.rstrip(ALL)))


def missing(owned: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of ``wanted``, one verb, group, resource and name each, that no rule in ``owned`` covers."""
    owned = list(owned)
    return [part for rule in wanted for part in _parts(rule) if not any(_covers(own, part) for own in owned)]


def _parts(rule: Rule) -> Iterable[Rule]:
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield {"nonResourceURLs": [url], "verbs": [verb]}
    names = [[name] for name in rule.get("resourceNames") or ()] or [[]]
    for group, resource, name, verb in itertools.product(
        rule.get("apiGroups") or (), rule.get("resources") or (), names, rule.get("verbs") or ()
    ):
        yield {"apiGroups": [group], "resources": [resource], "resourceNames": name, "verbs": [verb]}


def _covers(own: Rule, part: Rule) -> bool:
    """Does one rule allow all that a part allows?"""
    (verb,) = part["verbs"]
    if not _has(own.get("verbs"), verb):
        return False
    if "nonResourceURLs" in part:
        (url,) = part["nonResourceURLs"]
        return any(_url_covers(one, url) for one in own.get("nonResourceURLs") or ())
    (group,), (resource,) = part["apiGroups"], part["resources"]
    names = own.get("resourceNames") or []
    return (
        _has(own.get("apiGroups"), group)
        and any(_resource_covers(one, resource) for one in own.get("resources") or ())
        and (not names or (bool(part["resourceNames"]) and set(part["resourceNames"]) <= set(names)))
    )


def described(parts: Iterable[Rule]) -> str:
    """Parts as a real server lists them in its messages, a line each; of a resource, all verbs in one line."""
    joined: dict[str, Rule] = {}
    for part in parts:
        rest = {key: value for key, value in part.items() if key != "verbs"}
        key = json.dumps(rest if "resources" in part else part, sort_keys=True)
        rule = joined.setdefault(key, {**rest, "verbs": []})
        rule["verbs"] += [verb for verb in part["verbs"] if verb not in rule["verbs"]]
    return "\n".join(sorted(_compact(rule) for rule in joined.values()))


def _compact(rule: Rule) -> str:
    names = {
        "apiGroups": "APIGroups",
        "resources": "Resources",
        "nonResourceURLs": "NonResourceURLs",
        "resourceNames": "ResourceNames",
        "verbs": "Verbs",
    }
    return "{" + ", ".join(f"{shown}:{go_list(rule[key])}" for key, shown in names.items() if rule.get(key)) + "}"


def go_list(items: Iterable[str]) -> str:
    """A list as Go's %q prints it: ``["get" "list"]``."""
    return "[" + " ".join(json.dumps(item) for item in items) + "]"
