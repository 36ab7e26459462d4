"""Reading pod specs for the checks: all containers, settings that pod and container share, and the plugin's phrases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

Object = dict[str, Any]
Violation = tuple[str, str]  # (reason, detail)
Check = Callable[[Object, Object], Violation | None]  # of a pod's metadata and spec

PROFILES = ("RuntimeDefault", "Localhost")


def containers(spec: Object) -> list[Object]:
    """Every container of a pod, init containers first."""
    return [
        container
        for field in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(field) or []
    ]


def setting(holder: Object, *path: str) -> Any:
    """A setting in the securityContext of a pod spec or a container; None when it is not set."""
    value: Any = holder.get("securityContext")
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def quoted(items: Iterable[str]) -> str:
    return ", ".join(json.dumps(item, ensure_ascii=False) for item in items)


def plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def these(names: list[str]) -> str:
    return f"{plural('container', len(names))} {quoted(names)}"


def setters(spec: Object, is_bad: Callable[[Object], bool]) -> str:
    """Who sets something bad: the pod, containers, or both; empty when nobody does."""
    names = [container["name"] for container in containers(spec) if is_bad(container)]
    return " and ".join((["pod"] if is_bad(spec) else []) + ([these(names)] if names else []))


def profiles(spec: Object, field: str) -> tuple[str, list[str]]:
    """Who sets a profile (seccompProfile, appArmorProfile) that no level allows, and the types that they set."""
    types: set[str] = set()

    def is_bad(holder: Object) -> bool:
        profile = setting(holder, field)
        if profile is None or profile.get("type") in PROFILES:
            return False
        types.add(profile.get("type", ""))
        return True

    return setters(spec, is_bad), sorted(types)


def added_capabilities(spec: Object, allowed: frozenset[str]) -> str:
    """Which containers add capabilities beyond those allowed; empty when none does."""
    extra = {
        container["name"]: set(setting(container, "capabilities", "add") or ()) - allowed
        for container in containers(spec)
    }
    names = [name for name, more in extra.items() if more]
    if not names:
        return ""
    listed = quoted(sorted(set[str]().union(*extra.values())))
    return f"{these(names)} must not include {listed} in securityContext.capabilities.add"
