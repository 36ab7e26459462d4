"""The three patch formats that need no field ownership: JSON patch, JSON merge patch and strategic merge patch.

All functions are pure: they return the patched document and leave their arguments alone. Server-side apply is in
``apply``. Sources: RFC 6902, RFC 7386, and for strategic merge
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md with
k8s.io/apimachinery/pkg/util/strategicpatch where the document leaves a question open.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from lab.apiserver.jsonpatch import MalformedPatch, PatchError, json_patch
from lab.apiserver.schemas import Schema, Schemas

__all__ = ["MalformedPatch", "PatchError", "json_patch", "merge_patch", "strategic_merge"]

Object = dict[str, Any]

DELETE_FROM = "$deleteFromPrimitiveList/"
SET_ORDER = "$setElementOrder/"


def merge_patch(doc: Any, patch: Any) -> Any:
    """RFC 7386: null removes, an object merges, anything else replaces."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    out = dict(doc) if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(out.get(key), value)
    return out


def strategic_merge(schemas: Schemas, schema: Schema | None, doc: Any, patch: Any) -> Any:
    """Merge ``patch`` into ``doc``, lists by the patch strategy and merge key that the schema states.

    Directives: ``$patch`` (delete and replace in a map; delete and replace in an item of a list), ``$retainKeys``,
    ``$setElementOrder/<list>`` and ``$deleteFromPrimitiveList/<list>``.
    """
    if not isinstance(patch, dict):
        raise MalformedPatch("a strategic merge patch must be an object")
    match patch.get("$patch"):
        case None:
            pass
        case "replace":
            return deepcopy({key: value for key, value in patch.items() if key != "$patch"})
        case "delete":
            return {}  # the field stays, empty
        case other:  # "merge" too: a real server refuses to be told what it does anyway
            raise MalformedPatch(f"unknown patch type: {other} in map: {patch}")
    out = _retain(doc if isinstance(doc, dict) else {}, patch)
    for name in _ordered_lists(patch):
        _merge_field(schemas, schema, out, patch, name)
    return out


def _ordered_lists(patch: Object) -> list[str]:
    """The fields that a patch speaks of, directives counted to the field that they are about."""
    names = [key.removeprefix(DELETE_FROM).removeprefix(SET_ORDER) for key in patch if key != "$retainKeys"]
    return list(dict.fromkeys(names))


def _retain(doc: Object, patch: Object) -> Object:
    """``doc`` without the fields that $retainKeys does not list."""
    if "$retainKeys" not in patch:
        return dict(doc)
    keys = patch["$retainKeys"]
    if not isinstance(keys, list) or any(
        value is not None and not key.startswith("$") and key not in keys for key, value in patch.items()
    ):
        raise MalformedPatch("invalid patch format of retainKeys")
    return {key: value for key, value in doc.items() if key in keys}


def _merge_field(schemas: Schemas, schema: Schema | None, out: Object, patch: Object, name: str) -> None:
    field, live = schemas.property(schema, name), out.get(name)
    if name in patch and patch[name] is None:
        out.pop(name, None)
        return
    if isinstance(patch.get(name), dict):
        directive = patch[name].get("$patch")
        if name in out or directive != "delete":
            out[name] = strategic_merge(schemas, field, live, patch[name])
        return
    if name in patch and not isinstance(patch[name], list):
        out[name] = deepcopy(patch[name])
        return
    removed = patch.get(DELETE_FROM + name, [])
    order = patch.get(SET_ORDER + name)
    if not isinstance(removed, list):
        raise MalformedPatch("invalid patch format of primitive list")
    if order is not None and not isinstance(order, list):
        raise MalformedPatch("invalid patch format of setElementOrder list")
    if name not in patch and name not in out:
        return
    kept = [item for item in (live if isinstance(live, list) else []) if item not in removed]
    out[name] = _merge_list(schemas, field, kept, patch.get(name, []) if name in patch else None, order)


def _merge_list(
    schemas: Schemas, schema: Schema | None, live: list[Any], patch: list[Any] | None, order: list[Any] | None
) -> list[Any]:
    """One list. ``patch`` is None when only directives speak of it, ``order`` is $setElementOrder's list."""
    node = schemas.resolve(schema) or {}
    if "merge" not in node.get("x-kubernetes-patch-strategy", "").split(","):
        return deepcopy(live if patch is None else patch)
    items = patch or []
    key = node.get("x-kubernetes-patch-merge-key", "")

    def identity(item: Any) -> Any:
        if isinstance(item, dict) != bool(key) or isinstance(item, list):
            raise MalformedPatch("invalid patch format of primitive list")
        if key and key not in item:
            raise MalformedPatch(f"map: {item} does not contain declared merge key: {key}")
        found = item[key] if key else item
        if isinstance(found, dict | list):
            raise MalformedPatch(f"map: {item} has a merge key {key} that is neither text nor number")
        return found

    plain = [item for item in items if not isinstance(item, dict) or "$patch" not in item]
    if order and not _is_subsequence([identity(item) for item in plain], [identity(item) for item in order]):
        raise MalformedPatch(f"The order in patch list:\n{items}\n doesn't match $setElementOrder list:\n{order}\n")
    wanted = plain if order is None else order
    if not key:
        known = {identity(item) for item in live}
        return _in_order([*live, *dict.fromkeys(item for item in plain if item not in known)], live, wanted, identity)
    merged = list(live)
    for item in items:
        match item.get("$patch") if isinstance(item, dict) else None:
            case None:
                pass
            case "delete":
                gone = identity(item)
                merged = [other for other in merged if other.get(key) != gone]
            case "replace":
                return deepcopy(plain)
            case other:
                raise MalformedPatch(f"unknown patch type: {other} in map: {item}")
    for item in plain:
        named = identity(item)
        place = next((at for at, other in enumerate(merged) if other.get(key) == named), None)
        base = {} if place is None else merged[place]
        result = strategic_merge(schemas, schemas.item(node), base, item)
        if place is None:
            merged.append(result)
        else:
            merged[place] = result
    return _in_order(merged, live, wanted, identity)


def _is_subsequence(short: list[Any], long: list[Any]) -> bool:
    rest = iter(long)
    return all(any(item == other for other in rest) for item in short)


def _in_order(merged: list[Any], live: list[Any], wanted: list[Any], identity: Callable[[Any], Any]) -> list[Any]:
    """``merged`` with the items of the patch in the patch's order, and the others before whom they stood before."""
    patch_rank = {identity(item): at for at, item in enumerate(wanted)}
    live_rank = {identity(item): at for at, item in enumerate(live)}
    ours = [item for item in merged if identity(item) in patch_rank]
    ours.sort(key=lambda item: patch_rank[identity(item)])
    others = [item for item in merged if identity(item) not in patch_rank]
    out: list[Any] = []
    for item in ours:
        here = live_rank.get(identity(item), -1)
        while others and live_rank.get(identity(others[0]), len(live)) < here:
            out.append(others.pop(0))
        out.append(item)
    return out + others
