"""JSON patch, RFC 6902, and the two ways in which any patch can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

Object = dict[str, Any]


class PatchError(ValueError):
    """The patch is well formed and does not apply to this document (a real server answers 422)."""


class MalformedPatch(PatchError):
    """The patch breaks the rules of its format (a real server answers 400)."""


def json_patch(doc: Any, operations: Any) -> Any:
    """RFC 6902, all operations or none; the texts of the errors are those of the library that a real server uses."""
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise MalformedPatch("a JSON patch must be a list of operations")
    root = {"": deepcopy(doc)}  # so that the whole document, path "", has a parent too
    for operation in operations:
        apply = _OPERATIONS.get(operation.get("op", ""))
        if apply is None:
            raise MalformedPatch(f"Unexpected kind: {operation.get('op')}")
        apply(root, operation)
    return root.get("")


def _pointer(operation: Object, member: str = "path") -> list[str]:
    pointer = operation.get(member)
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise MalformedPatch(f"{operation['op']} operation has no usable member {member!r}: {pointer!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]


def _value(operation: Object) -> Any:
    if "value" not in operation:
        raise MalformedPatch(f"{operation['op']} operation at {operation['path']!r} has no member 'value'")
    return deepcopy(operation["value"])


def _index(items: list[Any], part: str, size: int) -> int:
    """The index that a part of a pointer names in a list, below ``size``."""
    if not (part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")) or int(part) >= size:
        raise PatchError(f"Unable to access invalid index: {part}: invalid index referenced")
    return int(part)


def _step(container: Any, part: str) -> Any:
    if isinstance(container, list):
        return container[_index(container, part, len(container))]
    if isinstance(container, dict) and part in container:
        return container[part]
    raise KeyError(part)


def _parent(root: Object, parts: list[str], operation: Object) -> Any:
    """The list or object that holds what the pointer names."""
    container: Any = root
    try:
        for part in parts[:-1]:
            container = _step(container, part)
    except KeyError:
        container = None
    if not isinstance(container, dict | list):
        place = "/".join(parts)
        raise PatchError(f'{operation["op"]} operation does not apply: doc is missing path: "{place}": missing value')
    return container


def _get(root: Object, parts: list[str], operation: Object) -> Any:
    try:
        return _step(_parent(root, parts, operation), parts[-1])
    except KeyError:
        place = "/".join(parts)
        message = f"{operation['op']} operation does not apply: doc is missing key: {place}: missing value"
        raise PatchError(message) from None


def _put(root: Object, parts: list[str], operation: Object, value: Any) -> None:
    container, last = _parent(root, parts, operation), parts[-1]
    if isinstance(container, list):
        container.insert(len(container) if last == "-" else _index(container, last, len(container) + 1), value)
    else:
        container[last] = value


def _take(root: Object, parts: list[str], operation: Object) -> Any:
    value = _get(root, parts, operation)
    container = _parent(root, parts, operation)
    del container[int(parts[-1]) if isinstance(container, list) else parts[-1]]
    return value


def _add(root: Object, operation: Object) -> None:
    _put(root, _pointer(operation), operation, _value(operation))


def _remove(root: Object, operation: Object) -> None:
    _take(root, _pointer(operation), operation)


def _replace(root: Object, operation: Object) -> None:
    parts, value = _pointer(operation), _value(operation)
    _get(root, parts, operation)
    container = _parent(root, parts, operation)
    container[int(parts[-1]) if isinstance(container, list) else parts[-1]] = value


def _move(root: Object, operation: Object) -> None:
    source, target = _pointer(operation, "from"), _pointer(operation)
    if target[: len(source)] == source and target != source:
        raise PatchError(f"move operation does not apply: {operation['path']!r} lies inside {operation['from']!r}")
    _put(root, target, operation, _take(root, source, operation))


def _copy(root: Object, operation: Object) -> None:
    _put(root, _pointer(operation), operation, deepcopy(_get(root, _pointer(operation, "from"), operation)))


def _test(root: Object, operation: Object) -> None:
    parts, expected = _pointer(operation), operation.get("value")
    try:
        found = _step(_parent(root, parts, operation), parts[-1])
    except KeyError:
        found = None  # as the real library does: a missing field equals null
    if json.dumps(found, sort_keys=True) != json.dumps(expected, sort_keys=True):  # unlike ==, tells true from 1
        raise PatchError(f"testing value {operation['path']} failed: test failed")


_OPERATIONS: dict[str, Callable[[Object, Object], None]] = {
    "add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test,
}  # fmt: skip
