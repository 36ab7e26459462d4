"""``metadata.managedFields``: which manager owns which fields, and since when.

Behaviour: k8s.io/apimachinery/pkg/util/managedfields.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lab.apiserver.fields import FieldSet, from_fields_v1, to_fields_v1

Object = dict[str, Any]

MAX_UPDATERS = 10
ANCIENT = "ancient-changes"


@dataclass(frozen=True)
class Manager:
    """Who owns fields. A manager that applies is the same one in every version; one that updates is one a version."""

    name: str
    operation: str  # "Apply" or "Update"
    api_version: str = ""  # of an updater only
    subresource: str = ""

    @classmethod
    def of(cls, name: str, operation: str, api_version: str, subresource: str) -> Manager:
        return cls(name or "unknown", operation, api_version if operation == "Update" else "", subresource)

    def __str__(self) -> str:
        out = f'"{self.name}"'
        if self.subresource:
            out += f' with subresource "{self.subresource}"'
        return f"{out} using {self.api_version}" if self.operation == "Update" else out


@dataclass(frozen=True)
class Share:
    """What a manager owns; ``time`` (RFC 3339) is when it last changed something."""

    fields: FieldSet
    api_version: str
    time: str


Managed = dict[Manager, Share]


def decode(entries: Iterable[Object]) -> Managed:
    """Read managedFields. Raises ValueError when an entry is not one."""
    managed = {}
    for entry in entries:
        operation, version = entry.get("operation"), entry.get("apiVersion")
        if operation not in ("Apply", "Update"):
            raise ValueError("operation must be `Apply` or `Update`")
        if not version:
            raise ValueError("apiVersion must not be empty")
        if entry.get("fieldsType") != "FieldsV1":
            raise ValueError(f'invalid fieldsType "{entry.get("fieldsType", "")}" in managed fields entry')
        owner = Manager.of(entry.get("manager", ""), operation, version, entry.get("subresource", ""))
        managed[owner] = Share(from_fields_v1(entry.get("fieldsV1") or {}), version, entry.get("time") or "")
    return managed


def encode(managed: Managed) -> list[Object]:
    """Write managedFields in the order that a real server keeps: operation, time, name, version, subresource."""
    entries = [
        {
            "manager": owner.name,
            "operation": owner.operation,
            "apiVersion": share.api_version,
            **({"time": share.time} if share.time else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(share.fields),
            **({"subresource": owner.subresource} if owner.subresource else {}),
        }
        for owner, share in managed.items()
        if share.fields
    ]
    return sorted(entries, key=_rank)


def _rank(entry: Object) -> tuple[str, ...]:
    keys = ("operation", "time", "manager", "apiVersion", "subresource")
    return tuple(str(entry.get(key, "")) for key in keys)


def capped(managed: Managed) -> Managed:
    """At most ten updaters: the oldest of one version are counted together as "ancient-changes"."""
    managed = dict(managed)
    updaters = sorted(
        (owner for owner in managed if owner.operation == "Update"), key=lambda owner: managed[owner].time
    )
    excess = len(updaters) - MAX_UPDATERS
    first: dict[str, Manager] = {}
    for owner in updaters:
        if excess <= 0:
            break
        share = managed[owner]
        if owner.api_version not in first:
            first[owner.api_version] = owner
            continue
        bucket = Manager(ANCIENT, "Update", owner.api_version)
        if bucket not in managed:
            managed[bucket] = managed.pop(first[owner.api_version])
        if owner != bucket:
            del managed[owner]
        managed[bucket] = Share(managed[bucket].fields | share.fields, share.api_version, share.time)
        excess -= 1
    return managed
