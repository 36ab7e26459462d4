"""Keeping the server in step with its CustomResourceDefinitions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lab.apiserver import deletion
from lab.apiserver.customresources import CLEANUP, DEFINITIONS, rows
from lab.apiserver.registry import Registry
from lab.apiserver.storage import Event

Object = dict[str, Any]


class Definitions:
    """Serves what the stored definitions declare, and ends what they leave behind."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
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
            for row in self._registry.resources:
                if row.custom and event.new.key.startswith(row.prefix):
                    _soon(self._clean, row.qualified)
                    return

    def _serve(self, definition: Object) -> None:
        self._forget(definition)
        served = rows(definition)
        for row in served:
            schema = ((row.custom or {}).get("schema") or {}).get("openAPIV3Schema")
            self._registry.schemas.add_custom(row.group, row.version, row.kind, schema)
        self._registry.resources.serve(definition["metadata"]["name"], served)

    def _forget(self, definition: Object) -> None:
        for row in rows(definition, served=False):
            self._registry.schemas.remove_custom(row.group, row.version, row.kind)
        self._registry.resources.serve(definition["metadata"]["name"], [])

    def _clean(self, name: str) -> None:
        """Delete the objects of a definition that is going away; let it go when none is left."""
        definition = self._registry.find(self._resource, "", name)
        if definition is None or not definition["metadata"].get("deletionTimestamp"):
            return
        if CLEANUP not in definition["metadata"].get("finalizers", []):
            return
        row = rows(definition, served=False)[0]
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


def _soon(step: Callable[[str], None], name: str) -> None:
    """After the present write: listeners must not write, or watchers would see events out of order."""
    asyncio.get_running_loop().call_soon(step, name)
