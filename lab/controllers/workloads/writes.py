"""The writes that a workload controller may find due, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Create:
    """Create this object; one that exists already is fine."""

    item: Object


@dataclass(frozen=True)
class Delete:
    """Delete this object, if it still is the one that was looked at."""

    item: Object


@dataclass(frozen=True)
class Patch:
    """Merge this patch into an object (`subresource` "" or "status")."""

    item: Object
    patch: Object
    subresource: str = ""


Write = Create | Delete | Patch


def status_patch(item: Object, status: Object) -> list[Write]:
    """The patch that makes an object's status say `status`; nothing when it already does."""
    current = item.get("status", {})
    changed = {key: value for key, value in status.items() if current.get(key) != value}
    return [Patch(item, {"status": changed}, "status")] if changed else []
