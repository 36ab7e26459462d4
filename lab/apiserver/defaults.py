"""Fill in what a client left out, from the schemas' ``default`` and the rules of ``data/defaults.yaml``.

The same walk serves custom kinds, whose defaults stand in their CustomResourceDefinition
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting): a
default counts only where the object around it is there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from lab.apiserver.schemas import DATA, Schema, Schemas, definition_name

Object = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """A default that depends on other fields; data/defaults.yaml says what the parts mean."""

    at: str = ""
    where: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    copy: Mapping[str, str] = field(default_factory=dict)

    def apply(self, value: Object) -> None:
        target = value.get(self.at) if self.at else value
        if not isinstance(target, dict) or not all(
            re.fullmatch(expression, str(target.get(name, "")), re.DOTALL) for name, expression in self.where.items()
        ):
            return
        for name, default in self.set.items():
            target.setdefault(name, deepcopy(default))
        for name, source in self.copy.items():
            if source in target:
                target.setdefault(name, target[source])


@cache
def _rules() -> dict[str, list[Rule]]:
    """The rules of each definition, in the order of the file."""
    rules = defaultdict(list)
    for row in yaml.safe_load((DATA / "defaults.yaml").read_text())["rules"]:
        name = definition_name(row.pop("of"))
        rules[name].append(Rule(where=row.pop("if", {}), **row))
    return dict(rules)


def apply_defaults(schemas: Schemas, schema: Schema | None, obj: Any) -> None:
    """Fill in the missing fields of an object (or of a part of one), in place."""
    if isinstance(obj, list):
        for item in obj:
            apply_defaults(schemas, schemas.item(schema), item)
    if not isinstance(obj, dict):
        return
    node = schemas.resolve(schema) or {}
    for name, declared in node.get("properties", {}).items():
        if name not in obj and "default" in declared:
            obj[name] = deepcopy(declared["default"])
    for definition in schemas.names(schema):
        for rule in _rules().get(definition, ()):
            rule.apply(obj)
    for name, value in obj.items():
        apply_defaults(schemas, schemas.property(node, name), value)
