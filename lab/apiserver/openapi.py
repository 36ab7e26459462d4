"""/openapi/v3: the schemas of all kinds, a document for each group and version (kubectl explain, apply, diff)."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from lab import K3S_VERSION
from lab.apiserver.discovery import groups
from lab.apiserver.resources import Resource, Resources
from lab.apiserver.schemas import REFERENCE, Schemas

Object = dict[str, Any]

ROOT = "/openapi/v3"
REFERRED = re.compile(re.escape(REFERENCE) + r'([^"]+)')
OPTIONS = ("dryRun", "fieldManager", "fieldValidation", "force")
_VERBS = {
    "collection": {"get": "list", "post": "create", "delete": "deletecollection"},
    "item": {"get": "get", "put": "update", "patch": "patch", "delete": "delete"},
}


class OpenAPI:
    """Documents made on demand and kept until a custom resource changes the table."""

    def __init__(self, resources: Resources, schemas: Schemas) -> None:
        self._resources = resources
        self._schemas = schemas
        self._made: dict[str, Object] = {}
        self._at = -1

    def answer(self, path: str) -> Object | None:
        """The index at /openapi/v3, or the document of one group version; None when there is none."""
        if self._at != self._resources.changes:
            self._made, self._at = {}, self._resources.changes
        known = {
            f"apis/{group}/{version}" if group else f"api/{version}": rows
            for group, versions in groups(self._resources).items()
            for version, rows in versions.items()
        }
        place = path.removeprefix(ROOT).strip("/")
        if not place:
            return {"paths": {name: {"serverRelativeURL": self._url(name, rows)} for name, rows in known.items()}}
        if place not in known:
            return None
        if place not in self._made:
            self._made[place] = self._document(place, known[place])
        return self._made[place]

    def _url(self, name: str, rows: list[Resource]) -> str:
        # Clients keep a document by its hash, which therefore has to change with the schemas.
        parts = [[row.plural, row.custom] for row in rows]
        found = hashlib.sha256(json.dumps([K3S_VERSION, parts]).encode()).hexdigest()
        return f"{ROOT}/{name}?hash={found[:32].upper()}"

    def _document(self, place: str, rows: list[Resource]) -> Object:
        paths: Object = {}
        components: Object = {}
        for row in rows:
            schema = self._schemas.find(row.group, row.version, row.kind)
            if schema is None:
                continue
            if "$ref" in schema:
                self._add(schema["$ref"].removeprefix(REFERENCE), components)
            else:
                self._add_custom(row, schema, components)
            base = f"/{place}/namespaces/{{namespace}}" if row.namespaced else f"/{place}"
            paths[f"{base}/{row.plural}"] = _operations(row, "collection")
            if row.stored:
                paths[f"{base}/{row.plural}/{{name}}"] = _operations(row, "item")
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": K3S_VERSION},
            "paths": paths,
            "components": {"schemas": components},
        }

    def _add(self, name: str, components: Object) -> None:
        """One definition and all that it refers to."""
        if name not in components:
            components[name] = self._schemas.definitions[name]
            self._add_needed(components[name], components)

    def _add_custom(self, row: Resource, schema: Object, components: Object) -> None:
        name = ".".join([*reversed(row.group.split(".")), row.version, row.kind])
        kind = {"group": row.group, "version": row.version, "kind": row.kind}
        components[name] = {**schema, "x-kubernetes-group-version-kind": [kind]}
        self._add_needed(schema, components)

    def _add_needed(self, schema: Object, components: Object) -> None:
        for needed in REFERRED.findall(json.dumps(schema)):
            self._add(needed, components)


def _operations(row: Resource, place: str) -> Object:
    kind = {"group": row.group, "version": row.version, "kind": row.kind}
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in OPTIONS]
    return {
        method: {
            "operationId": f"{verb}{row.kind}",
            "parameters": parameters,
            "responses": {},
            "x-kubernetes-action": method if verb in ("create", "update") else verb,
            "x-kubernetes-group-version-kind": kind,
        }
        for method, verb in _VERBS[place].items()
        if verb in row.verbs
    }
