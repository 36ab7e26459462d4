"""CustomResourceDefinitions: what they must say, and the resources that they add to the server."""

from __future__ import annotations

import asyncio
import datetime
import json
from typing import TYPE_CHECKING, Any

from lab.apiserver.errors import Cause
from lab.apiserver.resources import Resource, Resources, Subresource
from lab.apiserver.schemas import Schemas
from lab.apiserver.storage import Event

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


def rows(definition: Object) -> list[Resource]:
    """The resources, one for each served version, of a definition."""
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
        if version.get("served")
    ]


def _subresources(group: str, version: Object, kind: str) -> dict[str, Subresource]:
    declared = version.get("subresources") or {}
    found = {}
    if "status" in declared:
        found["status"] = Subresource(group, version["name"], kind, _STATUS_VERBS)
    if "scale" in declared:
        found["scale"] = Subresource("autoscaling", "v1", "Scale", _STATUS_VERBS)
    return found


class Definitions:
    """Keeps the resource table and the schemas in step with the stored definitions, and ends what they leave behind."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._resources: Resources = registry.resources
        self._schemas: Schemas = registry.schemas
        self._resource = registry.resource(*DEFINITIONS)
        for definition in registry.list(self._resource):
            self._serve(definition)
        registry.store.listeners.append(self._hear)

    def _hear(self, event: Event) -> None:
        value = event.new.value
        if event.new.key.startswith(self._resource.prefix):
            if event.deleted:
                self._forget(value)
            else:
                self._serve(value)
                if value["metadata"].get("deletionTimestamp"):
                    _soon(self._clean, value["metadata"]["name"])
        elif event.deleted:
            group = value["apiVersion"].rpartition("/")[0]
            for row in self._resources:
                if row.custom and row.group == group and row.kind == value["kind"]:
                    _soon(self._clean, row.qualified)
                    break

    def _serve(self, definition: Object) -> None:
        spec = definition["spec"]
        served = rows(definition)
        for version in spec["versions"]:
            self._schemas.remove_custom(spec["group"], version["name"], spec["names"]["kind"])
        for row in served:
            schema = ((row.custom or {}).get("schema") or {}).get("openAPIV3Schema")
            self._schemas.add_custom(row.group, row.version, row.kind, schema)
        self._resources.serve(definition["metadata"]["name"], served)

    def _forget(self, definition: Object) -> None:
        spec = definition["spec"]
        for version in spec["versions"]:
            self._schemas.remove_custom(spec["group"], version["name"], spec["names"]["kind"])
        self._resources.serve(definition["metadata"]["name"], [])

    def _clean(self, name: str) -> None:
        """Delete the objects of a definition that is going away; let it go when none is left."""
        from lab.apiserver import deletion

        definition = self._registry.find(self._resource, "", name)
        if definition is None or not definition["metadata"].get("deletionTimestamp"):
            return
        if CLEANUP not in definition["metadata"].get("finalizers", []):
            return
        row = rows(definition)[0]
        for item in self._registry.list(row):
            own = item["metadata"]
            if not own.get("deletionTimestamp"):
                deletion.delete(self._registry, row, own.get("namespace", ""), own["name"])
        if not self._registry.list(row):
            self._registry.update(self._resource, "", name, _without_cleanup)


def _without_cleanup(definition: Object) -> Object:
    own = definition["metadata"]
    own["finalizers"] = [item for item in own["finalizers"] if item != CLEANUP]
    return definition


def _soon(step: Any, name: str) -> None:
    """After the present write: listeners must not write, or watchers would see events out of order."""
    try:
        asyncio.get_running_loop().call_soon(step, name)
    except RuntimeError:
        step(name)  # before the server runs, there are no watchers
