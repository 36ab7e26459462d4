"""CustomResourceDefinitions: what they must say, and the rows that they add to the resource table."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

from lab.apiserver.errors import Cause
from lab.apiserver.resources import Resource, Subresource

if TYPE_CHECKING:
    from lab.apiserver.registry import Registry

Object = dict[str, Any]

DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_STATUS_VERBS = ("get", "patch", "update")


def prepare(old: Object | None, new: Object, registry: Registry) -> None:
    """Fill in names and answer at once what a real server's controllers answer a moment later: it is established."""
    spec = new.get("spec") or {}
    given = spec.get("names") or {}
    if not given.get("kind") or not given.get("plural"):
        return  # validation refuses it
    given.setdefault("singular", given["kind"].lower())
    given.setdefault("listKind", given["kind"] + "List")
    spec.setdefault("conversion", {"strategy": "None"})
    finalizers = new["metadata"].get("finalizers") or []
    if old is None and CLEANUP not in finalizers:
        new["metadata"]["finalizers"] = [*finalizers, CLEANUP]
    storage = [version.get("name") for version in spec.get("versions") or [] if version.get("storage")]
    before = (old or {}).get("status") or {}
    stored = before.get("storedVersions") or []
    conditions = before.get("conditions") or [
        _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        _condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    new["status"] = {
        **before,
        "acceptedNames": given,
        "conditions": conditions,
        "storedVersions": [*stored, *(name for name in storage if name not in stored)],
    }


def _condition(kind: str, reason: str, message: str) -> Object:
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": moment}


def check(old: Object | None, new: Object) -> list[Cause]:
    """The rules between the fields of a definition."""
    spec = new.get("spec") or {}
    given = spec.get("names") or {}
    name, wanted = new["metadata"].get("name"), f"{given.get('plural')}.{spec.get('group')}"
    causes: list[Cause] = []
    if name != wanted:
        text = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        causes.append(("metadata.name", text))
    versions = spec.get("versions") or []
    if sum(1 for version in versions if version.get("storage")) != 1:
        shown = json.dumps([version.get("name") for version in versions])
        text = f"Invalid value: {shown}: must have exactly one version marked as storage version"
        causes.append(("spec.versions", text))
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            place = f"spec.versions[{index}].schema.openAPIV3Schema"
            causes.append((place, "Required value: schemas are required"))
    if old is not None:
        before = old["spec"]
        for field in ("group", "scope"):
            if before.get(field) != spec.get(field):
                causes.append((f"spec.{field}", f'Invalid value: "{spec.get(field)}": field is immutable'))
    return causes


def rows(definition: Object, *, served: bool = True) -> list[Resource]:
    """The resources of a definition, one for each version that is ``served`` (or for all versions)."""
    spec = definition["spec"]
    given = spec["names"]
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    return [
        Resource(
            group=spec["group"],
            version=version["name"],
            plural=given["plural"],
            kind=given["kind"],
            namespaced=spec["scope"] == "Namespaced",
            singular=given["singular"],
            list_kind=given["listKind"],
            short_names=tuple(given.get("shortNames") or ()),
            categories=tuple(given.get("categories") or ()),
            subresources=_subresources(spec["group"], version, given["kind"]),
            custom=version,
            storage_version=storage,
            converts_by_webhook=(spec.get("conversion") or {}).get("strategy") == "Webhook",
        )
        for version in spec["versions"]
        if version.get("served") or not served
    ]


def _subresources(group: str, version: Object, kind: str) -> dict[str, Subresource]:
    declared = version.get("subresources") or {}
    found = {}
    if "status" in declared:
        found["status"] = Subresource(group, version["name"], kind, _STATUS_VERBS)
    if "scale" in declared:
        found["scale"] = Subresource("autoscaling", "v1", "Scale", _STATUS_VERBS)
    return found
