"""Sets of fields: who owns what in an object is said by sets of paths.

A path is a tuple of elements written as ``managedFields`` writes them: ``f:<name>`` a field or key of a map,
``k:{"name":"web"}`` the item of a list of maps by its keys, ``v:"x"`` the item of a set by its value. Which lists are
maps, sets or one indivisible value is said by the schema (x-kubernetes-list-type, x-kubernetes-map-type).
Behaviour: sigs.k8s.io/structured-merge-diff, packages fieldpath and typed;
https://kubernetes.io/docs/reference/using-api/server-side-apply/.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from lab.apiserver.schemas import Schema, Schemas

Path = tuple[str, ...]
FieldSet = frozenset[Path]


class _Missing:
    """The value of a field that is not there; null is a value."""


MISSING = _Missing()


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


# ---- between sets, managedFields and people


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The tree that managedFields stores; "." marks a node that is itself in the set and has members below it."""
    members = set(paths)
    tree: dict[str, Any] = {}
    for path in sorted(members):
        node = tree
        for depth, element in enumerate(path, start=1):
            node = node.setdefault(element, {})
            if depth < len(path) and path[:depth] in members:
                node["."] = {}
    return tree


def from_fields_v1(tree: Mapping[str, Any]) -> FieldSet:
    """The set that a managedFields entry stores. Raises ValueError when it is no such tree."""
    return frozenset(_members(tree, ()))


def _members(tree: Mapping[str, Any], path: Path) -> Iterable[Path]:
    for key, below in tree.items():
        if not isinstance(below, dict):
            raise ValueError(f"managed field {key!r} must hold an object, not {below!r}")
        if key == ".":
            yield path
            continue
        kind, colon, content = key.partition(":")
        if not colon or kind not in "fkvi":
            raise ValueError(f"managed field {key!r} must begin with f:, k:, v: or i:")
        element = f"{kind}:{_compact(json.loads(content))}" if kind in "kv" else key
        if below:
            yield from _members(below, (*path, element))
        else:
            yield (*path, element)


def text(path: Path) -> str:
    """A path as people read it: ``.spec.containers[name="web"].image``."""
    parts = []
    for element in path:
        kind, _, content = element.partition(":")
        match kind:
            case "f":
                parts.append(f".{content}")
            case "k":
                parts.append("[" + ",".join(f"{key}={_compact(v)}" for key, v in json.loads(content).items()) + "]")
            case "v":
                parts.append(f"[={content}]")
            case _:
                parts.append(f"[{content}]")
    return "".join(parts)


# ---- objects as sets


def element_of(schemas: Schemas, schema: Schema | None, item: Any) -> str | None:
    """The path element of one item of a map-like list or a set; None when it has no keys to be told by."""
    keys = schemas.list_keys(schema)
    if keys is None:
        return None if isinstance(item, dict | list) or item is None else f"v:{_compact(item)}"
    if not isinstance(item, dict):
        return None
    found = {}
    for key in keys:
        declared = schemas.resolve(schemas.property(schemas.item(schema), key)) or {}
        value = item.get(key, declared.get("default"))
        if value is not None:
            found[key] = value
    return f"k:{_compact(found)}" if found else None


def parts(schemas: Schemas, schema: Schema | None, value: Any) -> dict[str, list[Any]]:
    """What a divisible value is made of, by path element; a list holds more than one value only for duplicates."""
    if isinstance(value, dict):
        return {f"f:{key}": [part] for key, part in value.items()}
    items: dict[str, list[Any]] = defaultdict(list)
    for item in value or ():
        element = element_of(schemas, schema, item)
        if element is not None:
            items[element].append(item)
    return items


def below(schemas: Schemas, schema: Schema | None, element: str) -> Schema | None:
    """The schema of what a path element names inside a value of ``schema``."""
    if element.startswith("f:"):
        return schemas.property(schema, element[2:])
    return schemas.item(schema)


def field_set(schemas: Schemas, schema: Schema | None, obj: Any) -> FieldSet:
    """The fields that an applied configuration speaks of.

    An empty map or list is one of them. (structured-merge-diff forgets an empty list, so that there an apply which
    empties a list changes something once more when it is repeated.)
    """
    out: set[Path] = set()
    _collect(schemas, schema, obj, (), out)
    return frozenset(out)


def _collect(schemas: Schemas, schema: Schema | None, value: Any, path: Path, out: set[Path]) -> None:
    if schemas.is_atomic(schema, value):
        out.add(path)
        return
    for element, values in parts(schemas, schema, value).items():
        here = (*path, element)
        if len(values) == 1:
            _collect(schemas, below(schemas, schema, element), values[0], here, out)
        declared = element.startswith("f:") and schemas.declares(schema, element[2:])
        if not declared or len(values) > 1 or values[0] in ({}, []):
            out.add(here)


def with_parents(schemas: Schemas, schema: Schema | None, paths: AbstractSet[Path]) -> FieldSet:
    """``paths`` with every field above them that the schema names: such a field exists only for what is in it."""
    nodes: dict[Path, Schema | None] = {(): schema}
    out = set(paths)
    for path in paths:
        for depth in range(1, len(path)):
            prefix, element = path[:depth], path[depth - 1]
            if prefix in nodes:
                continue
            parent = nodes[prefix[:-1]]
            nodes[prefix] = below(schemas, parent, element)
            if element.startswith("f:") and schemas.declares(parent, element[2:]):
                out.add(prefix)
    return frozenset(out)


def remove(schemas: Schemas, schema: Schema | None, value: Any, paths: AbstractSet[Path]) -> Any:
    """``value`` without what the paths name."""
    if not paths or schemas.is_atomic(schema, value):
        return value
    inside: dict[str, set[Path]] = defaultdict(set)
    for path in paths:
        inside[path[0]].add(path[1:])

    def kept(element: str | None, part: Any) -> Any:
        if element not in inside:
            return part
        if () in inside[element]:
            return MISSING
        return remove(schemas, below(schemas, schema, element), part, inside[element])

    if isinstance(value, dict):
        fields = {key: kept(f"f:{key}", part) for key, part in value.items()}
        return {key: part for key, part in fields.items() if part is not MISSING}
    items = [kept(element_of(schemas, schema, item), item) for item in value]
    return [item for item in items if item is not MISSING]


# ---- two objects


@dataclass
class Comparison:
    """The paths in which two objects differ; no path is in more than one of the sets."""

    removed: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    added: set[Path] = field(default_factory=set)


def compare(schemas: Schemas, schema: Schema | None, old: Any, new: Any) -> Comparison:
    """What a change from ``old`` to ``new`` touches."""
    out = Comparison()
    _compare(schemas, schema, old, new, (), out)
    return out


def _compare(schemas: Schemas, schema: Schema | None, old: Any, new: Any, path: Path, out: Comparison) -> None:
    if old is MISSING or new is MISSING:
        (out.added if old is MISSING else out.removed).add(path)
    if _divisible(schemas, schema, old) and _divisible(schemas, schema, new) and (_full(old) or _full(new)):
        _compare_parts(schemas, schema, old, new, path, out)
        if isinstance(old, dict | list) and isinstance(new, dict | list) and type(old) is not type(new):
            out.modified.add(path)
    elif old is not MISSING and new is not MISSING and not _same(old, new):
        out.modified.add(path)


def _divisible(schemas: Schemas, schema: Schema | None, value: Any) -> bool:
    """Nothing, and null, take the form of what they are compared with."""
    return value is MISSING or value is None or not schemas.is_atomic(schema, value)


def _full(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _same(old: Any, new: Any) -> bool:
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)  # to Python, 1 == True


def _compare_parts(schemas: Schemas, schema: Schema | None, old: Any, new: Any, path: Path, out: Comparison) -> None:
    before = {} if old is MISSING else parts(schemas, schema, old)
    after = {} if new is MISSING else parts(schemas, schema, new)
    for element in {**before, **after}:
        here, node = (*path, element), below(schemas, schema, element)
        was, now = before.get(element, []), after.get(element, [])
        if len(was) <= 1 and len(now) <= 1:
            _compare(schemas, node, was[0] if was else MISSING, now[0] if now else MISSING, here, out)
        elif len(was) > 1 and len(now) > 1:  # duplicates are owned and compared as one
            if was != now:
                out.modified.add(here)
        elif len(was) > 1:
            out.removed.add(here)
        else:
            out.added.add(here)
