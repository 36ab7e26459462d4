"""The structural half of server-side apply: merge a configuration into an object, and take out what it left out.

Behaviour: sigs.k8s.io/structured-merge-diff/typed and merge.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from lab.apiserver.fields import FieldSet, below, element_of, field_set, parts, remove, text, with_parents
from lab.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]


def errors(schemas: Schemas, schema: Schema | None, value: Any, path: str = "") -> Iterator[str]:
    """Why a configuration cannot be applied: fields that the schema does not declare, items that have no place."""
    if isinstance(value, list) and schemas.is_atomic(schema, value):
        for index, item in enumerate(value):
            yield from errors(schemas, schemas.item(schema), item, f"{path}[{index}]")
    elif isinstance(value, dict | list):
        for element, values in parts(schemas, schema, value).items():
            here, node = path + text((element,)), below(schemas, schema, element)
            if len(values) > 1:
                yield f"{path}: duplicate entries for key {text((element,))}"
            elif node is None and isinstance(value, dict) and not schemas.allows_unknown(schema):
                yield f"{here}: field not declared in schema"
            else:
                yield from errors(schemas, node, values[0], here)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if element_of(schemas, schema, item) is None:
                    yield f"{path}: element {index}: associative list with keys has an element that omits all its keys"


def merge(schemas: Schemas, schema: Schema | None, live: Any, applied: Any) -> Any:
    """``live`` with what ``applied`` says; lists are merged item by item where the schema gives them keys."""
    if isinstance(live, dict | list) and live and not schemas.is_atomic(schema, live):
        if applied is None:
            return live
        if isinstance(live, dict) and isinstance(applied, dict):
            mine = {
                key: merge(schemas, schemas.property(schema, key), live.get(key), value)
                for key, value in applied.items()
            }
            return {**live, **mine}
        if isinstance(live, list) and isinstance(applied, list):
            return _merge_items(schemas, schema, live, applied)
    return deepcopy(applied)


def _merge_items(schemas: Schemas, schema: Schema | None, live: list[Any], applied: list[Any]) -> list[Any]:
    ours = {element_of(schemas, schema, item): item for item in applied}
    theirs = [element_of(schemas, schema, item) for item in live]
    by_element = dict(zip(theirs, live, strict=True))
    out = []
    for element, index in _interleaved(theirs, list(ours)):
        if index is not None:
            out.append(live[index])
        elif element in by_element and theirs.count(element) == 1:
            out.append(merge(schemas, schemas.item(schema), by_element[element], ours[element]))
        else:
            out.append(deepcopy(ours[element]))
    return out


def _interleaved(live: list[str | None], applied: list[str | None]) -> Iterator[tuple[str | None, int | None]]:
    """The merged order: the applied items in their order, and between them the others where they stood before.

    Yields (element, None) for an applied item and (element, index in ``live``) for an item of others.
    """
    place = {element: index for index, element in enumerate(live)}
    passed = 0
    for count, element in enumerate(applied):
        upcoming = next((place[later] for later in applied[count:] if later in place), len(live))
        stop = upcoming if upcoming >= passed else len(live)
        yield from ((live[index], index) for index in range(passed, stop) if live[index] not in applied)
        passed = max(passed, stop)
        yield element, None
    yield from ((live[index], index) for index in range(passed, len(live)) if live[index] not in applied)


def prune(schemas: Schemas, schema: Schema | None, merged: Object, claimed: FieldSet, last: FieldSet) -> Object:
    """``merged`` without what one manager applied ``last`` time and nobody ``claimed`` since.

    A container that existed only for such fields goes with them, and takes along what nobody owns.
    """
    everything = with_parents(schemas, schema, field_set(schemas, schema, merged))
    dropped = with_parents(schemas, schema, last)
    claimed = with_parents(schemas, schema, claimed)
    unclaimed = everything - _without(everything, dropped) - claimed
    gone = (everything - _without(everything, unclaimed)) & dropped
    pruned: Object = remove(schemas, schema, merged, gone)
    return pruned


def _without(paths: FieldSet, gone: FieldSet) -> FieldSet:
    """``paths`` without those that are ``gone`` and all that lie below them."""
    return frozenset(path for path in paths if not any(path[:depth] in gone for depth in range(1, len(path) + 1)))
