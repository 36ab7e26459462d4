"""Does an object say what its schema allows? Unknown fields, types, required fields, choices and bounds.

The schema is everything asked, so this is the same walk for built-in kinds and for custom ones. Left out: CEL rules
(x-kubernetes-validations), ``format`` beyond int-or-string, and what relates several fields of a built-in kind. Call it
on an object whose defaults are filled in: a real server defaults before it validates.
Texts follow k8s.io/kube-openapi/pkg/validation and k8s.io/apimachinery/pkg/util/validation/field.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lab.apiserver import quantities
from lab.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]

TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool, "integer": int, "number": (int, float), "string": str, "array": list, "object": dict,
}  # fmt: skip
QUANTITY = [{"type": "string"}, {"type": "number"}]  # what the definitions say of a quantity


@dataclass
class Findings:
    """What is wrong with an object.

    ``unknown``: full paths of the fields that the schema does not have (``spec.template.spec.containers[0].nam``).
    ``errors``: (path of a field, what is wrong with it) pairs, as the causes of a 422 are given.
    """

    unknown: list[str] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)


def check(schemas: Schemas, schema: Schema | None, obj: Any) -> Findings:
    """Compare an object (or a part of one) with its schema. A null counts as a missing field."""
    findings = Findings()
    _check(schemas, schema, obj, "", findings)
    return findings


def _check(schemas: Schemas, schema: Schema | None, value: Any, path: str, findings: Findings) -> None:
    node = schemas.resolve(schema)
    if node is None or value is None:
        return
    complaint = _wrong_type(node, value, path)
    if complaint:
        findings.errors.append((path, complaint))
        return
    if node.get("oneOf") == QUANTITY and quantities.amount(value) is None:
        findings.errors.append((path, f"Invalid value: {_shown(value)}: {quantities.SYNTAX}"))
    findings.errors.extend((path, text) for text in _out_of_bounds(node, value, path))
    if isinstance(value, dict):
        _check_object(schemas, node, value, path, findings)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(schemas, node.get("items"), item, f"{path}[{index}]", findings)


def _check_object(schemas: Schemas, node: Schema, value: Object, path: str, findings: Findings) -> None:
    required = list(node.get("required", ()))
    if node.get("x-kubernetes-embedded-resource"):
        required += ["apiVersion", "kind"]
    findings.errors.extend((_join(path, name), "Required value") for name in required if value.get(name) is None)
    for name, part in value.items():
        below = schemas.property(node, name)
        if below is not None:
            _check(schemas, below, part, _join(path, name), findings)
        elif not schemas.allows_unknown(node):
            findings.unknown.append(_join(path, name))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _wrong_type(node: Schema, value: Any, path: str) -> str | None:
    wanted = _types(node)
    if not wanted or any(_has_type(value, name) for name in wanted):
        return None
    kind = next(name for name in TYPES if _has_type(value, name))
    return f'Invalid value: "{kind}": {path or "<root>"} in body must be of type {" or ".join(wanted)}: "{kind}"'


def _types(node: Schema) -> list[str]:
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        return ["integer", "string"]
    choices = [node, *node.get("oneOf", ())]
    return [choice["type"] for choice in choices if choice.get("type")]


def _has_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"  # to Python a bool is an int
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[name])


def _out_of_bounds(node: Schema, value: Any, path: str) -> list[str]:
    """What the enum, bounds, lengths and pattern of one node say against a value of the right type."""
    texts = []
    if "enum" in node and value not in node["enum"]:
        choices = ", ".join(json.dumps(choice) for choice in node["enum"])
        texts.append(f"Unsupported value: {_shown(value)}: supported values: {choices}")
    match value:
        case bool():
            pass
        case int() | float():
            texts += [f"Invalid value: {value}: {path} in body should be {text}" for text in _number(node, value)]
        case str():
            texts += [f"Invalid value: {_shown(value)}: {path} in body should {text}" for text in _string(node, value)]
            if len(value) > node.get("maxLength", len(value)):
                texts.append(f"Too long: may not be more than {node['maxLength']} bytes")
        case list():
            texts += _size(node, len(value), path, "Items", "items")
            if node.get("uniqueItems") and len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
                texts.append(f"Invalid value: {path} in body shouldn't contain duplicates")
        case dict():
            texts += _size(node, len(value), path, "Properties", "properties")
    return texts


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(node: Schema, value: float) -> list[str]:
    texts = []
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and (value <= low if node.get("exclusiveMinimum") else value < low):
        texts.append(f"greater than {'' if node.get('exclusiveMinimum') else 'or equal to '}{low}")
    if high is not None and (value >= high if node.get("exclusiveMaximum") else value > high):
        texts.append(f"less than {'' if node.get('exclusiveMaximum') else 'or equal to '}{high}")
    if "multipleOf" in node and value % node["multipleOf"]:
        texts.append(f"a multiple of {node['multipleOf']}")
    return texts


def _string(node: Schema, value: str) -> list[str]:
    texts = []
    if len(value) < node.get("minLength", 0):
        texts.append(f"be at least {node['minLength']} chars long")
    if "pattern" in node and not _pattern(node["pattern"]).search(value):
        texts.append(f"match '{node['pattern']}'")
    return texts


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """Go's ``$`` is only the very end of the text, Python's also stands before a last newline."""
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", text))


def _size(node: Schema, size: int, path: str, suffix: str, noun: str) -> list[str]:
    texts = []
    if size < node.get(f"min{suffix}", 0):
        texts.append(f"Invalid value: {size}: {path} in body should have at least {node[f'min{suffix}']} {noun}")
    if size > node.get(f"max{suffix}", size):
        texts.append(f"Too many: {size}: must have at most {node[f'max{suffix}']} {noun}")
    return texts


def prune(obj: Object, unknown: list[str]) -> None:
    """Drop the fields that ``check`` found unknown, in place."""
    for path in unknown:
        _drop(obj, path)


def _drop(value: Any, path: str) -> bool:
    """Delete what ``path`` names. Keys may hold dots themselves, so the object says where a key ends."""
    if isinstance(value, list):
        index, _, rest = path.removeprefix("[").partition("]")
        return index.isdigit() and int(index) < len(value) and _drop(value[int(index)], rest.removeprefix("."))
    if not isinstance(value, dict):
        return False
    if path in value:
        del value[path]
        return True
    starts = [key for key in value if path.startswith((f"{key}.", f"{key}["))]
    return any(_drop(value[key], path[len(key) :].removeprefix(".")) for key in starts)
