"""The OpenAPI schemas of all kinds: the built-in ones from data files, custom ones from CustomResourceDefinitions.

Everything that a real server knows of a kind by generated code (how its lists merge, which fields exist, what their
defaults are) is read from these schemas here, so no other module knows a kind by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]

DATA = Path(__file__).parent / "data"
REFERENCE = "#/components/schemas/"  # as in the OpenAPI v3 document that the server serves
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
OBJECT_META: Schema = {"$ref": f"{REFERENCE}{META}ObjectMeta"}
OBJECT_FIELDS: dict[str, Schema] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": OBJECT_META,
}
# Definitions that say only "object" and mean any object.
FREE_FORM = ("io.k8s.apimachinery.pkg.runtime.RawExtension", f"{META}FieldsV1", f"{META}Patch")


class Schemas:
    """All schemas by group, version and kind.

    ``definitions`` holds the named schemas; a node refers to one by ``{"$ref": "#/components/schemas/<name>"}``.
    The definitions are enriched with ``data/defaults.yaml`` and ``data/constraints.yaml``, which hold what the real
    server's Go code does and its OpenAPI document does not say.
    """

    def __init__(self) -> None:
        document = json.loads((DATA / "definitions-v1.32.json").read_text())
        self.definitions: dict[str, Schema] = document["definitions"]
        self._kinds: dict[tuple[str, str, str], Schema] = {}
        for name, definition in self.definitions.items():
            for kind in definition.get("x-kubernetes-group-version-kind", ()):
                self._kinds[kind["group"], kind["version"], kind["kind"]] = {"$ref": REFERENCE + name}
        for name in FREE_FORM:
            self.definitions[name]["x-kubernetes-preserve-unknown-fields"] = True
        self._enrich(yaml.safe_load((DATA / "constraints.yaml").read_text()))
        defaults = yaml.safe_load((DATA / "defaults.yaml").read_text())
        self._enrich(
            {
                name: {field: {"default": value} for field, value in fields.items()}
                for name, fields in defaults["always"].items()
            }
        )

    def _enrich(self, additions: dict[str, dict[str, Schema]]) -> None:
        for name, fields in additions.items():
            properties = self.definitions[definition_name(name)]["properties"]
            for field, more in fields.items():
                properties[field] = {**properties[field], **more}

    def find(self, group: str, version: str, kind: str) -> Schema | None:
        """The schema of a kind, or None when nobody declared it."""
        return self._kinds.get((group, version, kind))

    def add_custom(self, group: str, version: str, kind: str, schema: Schema | None) -> None:
        """Declare a custom kind by one version's openAPIV3Schema of its CustomResourceDefinition."""
        schema = dict(schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
        schema["properties"] = {**schema.get("properties", {}), **OBJECT_FIELDS}
        self._kinds[group, version, kind] = schema

    def remove_custom(self, group: str, version: str, kind: str) -> None:
        self._kinds.pop((group, version, kind), None)

    def resolve(self, schema: Schema | None) -> Schema | None:
        """The node behind its references; what stands beside a ``$ref`` wins over what the definition says."""
        while schema is not None and "$ref" in schema:
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            definition = self.definitions[schema["$ref"].removeprefix(REFERENCE)]
            schema = {**definition, **beside} if beside else definition
        return schema

    def names(self, schema: Schema | None) -> Iterator[str]:
        """The names of the definitions that a node refers to."""
        while schema is not None and "$ref" in schema:
            name = schema["$ref"].removeprefix(REFERENCE)
            yield name
            schema = self.definitions[name]

    def property(self, schema: Schema | None, name: str) -> Schema | None:
        """The (unresolved) schema of one field of an object, or of one value of a map; None when it has none."""
        node = self.resolve(schema)
        if node is None:
            return None
        declared: Schema | None = node.get("properties", {}).get(name)
        if declared is None and node.get("x-kubernetes-embedded-resource"):
            declared = OBJECT_FIELDS.get(name)
        if declared is None and isinstance(node.get("additionalProperties"), dict):
            declared = node["additionalProperties"]
        return declared

    def declares(self, schema: Schema | None, name: str) -> bool:
        """Is this a field that the schema names, rather than a key of a free map?"""
        node = self.resolve(schema) or {}
        declared: Schema = node.get("properties", {})
        return name in declared or (name in OBJECT_FIELDS and "x-kubernetes-embedded-resource" in node)

    def allows_unknown(self, schema: Schema | None) -> bool:
        """May an object here hold fields that the schema does not name?"""
        node = self.resolve(schema)
        if node is None or node.get("x-kubernetes-preserve-unknown-fields"):
            return True
        return bool(node.get("additionalProperties")) or not ({"type", "properties"} & node.keys())

    def item(self, schema: Schema | None) -> Schema | None:
        """The (unresolved) schema of the items of a list."""
        node = self.resolve(schema)
        return node.get("items") if node else None

    def is_atomic(self, schema: Schema | None, value: Any) -> bool:
        """Is this value owned and replaced as one? Scalars, atomic maps, and lists that are neither maps nor sets."""
        node = self.resolve(schema) or {}
        if isinstance(value, dict):
            return bool(node.get("x-kubernetes-map-type") == "atomic")
        if isinstance(value, list):
            return bool(node.get("x-kubernetes-list-type", "atomic") == "atomic")
        return True

    def list_keys(self, schema: Schema | None) -> list[str] | None:
        """The key fields of a list of map-like items (x-kubernetes-list-type: map), None for any other list."""
        node = self.resolve(schema) or {}
        if node.get("x-kubernetes-list-type") != "map":
            return None
        keys: list[str] = node["x-kubernetes-list-map-keys"]
        return keys


def definition_name(short: str) -> str:
    """The full name of a definition that the data files write without its usual beginning."""
    return short if short.startswith("io.k8s.") else f"io.k8s.api.{short}"
