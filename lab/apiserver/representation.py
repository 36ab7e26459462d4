"""The forms in which objects leave the server: plain JSON, a Table for people, or their metadata alone."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from typing import Any

from lab.apiserver import tables
from lab.apiserver.lists import Page
from lab.apiserver.registry import view
from lab.apiserver.resources import Resource
from lab.apiserver.storage import Entry
from lab.apiserver.watch import Notice

Object = dict[str, Any]

META = "meta.k8s.io/v1"


class Form(enum.Enum):
    """What an Accept header asks for; anything unknown is answered by plain objects."""

    PLAIN = "plain"
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


def form(accept: str) -> Form:
    """The first of the wanted forms that this server has."""
    for choice in accept.split(","):
        parts = dict(part.strip().partition("=")[::2] for part in choice.split(";"))
        if "application/json" not in parts:
            continue
        kind = parts.get("as", "").removesuffix("List")
        if not kind:
            return Form.PLAIN
        if parts.get("v") == "v1" and kind in (Form.TABLE.value, Form.METADATA.value):
            return Form(kind)
    return Form.PLAIN


def encode(obj: Any) -> bytes:
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode()


def one(resource: Resource, obj: Object, wanted: Form) -> bytes:
    """One object in the wanted form."""
    if wanted is Form.TABLE:
        return encode(tables.table(resource, [obj], {"resourceVersion": _version(obj)}))
    if wanted is Form.METADATA:
        return encode(_metadata_only(obj))
    return encode(obj)


def page(resource: Resource, found: Page, wanted: Form) -> bytes:
    """A list in the wanted form. Items of built-in kinds carry no apiVersion and kind, as on a real server."""
    meta: Object = {"resourceVersion": str(found.revision)}
    if found.continues:
        meta["continue"] = found.continues
    if found.remaining is not None:
        meta["remainingItemCount"] = found.remaining
    if wanted is Form.TABLE:
        return encode(tables.table(resource, [view(entry, resource) for entry in found.entries], meta))
    if wanted is Form.METADATA:
        items = [_metadata_only(view(entry, resource)) for entry in found.entries]
        return encode({"kind": "PartialObjectMetadataList", "apiVersion": META, "metadata": meta, "items": items})
    kind = resource.list_kind or resource.kind + "List"
    head = encode({"kind": kind, "apiVersion": resource.api_version, "metadata": meta})
    return head[:-1] + b',"items":[' + b",".join(_items(resource, found.entries)) + b"]}"


def notice(resource: Resource, told: Notice, wanted: Form, first: bool) -> bytes:
    """One line of a watch. A Table names its columns in the ``first`` only."""
    if told.entry is None:
        obj = encode(told.obj)
    elif wanted is Form.TABLE:
        shown = view(told.entry, resource)
        meta = {"resourceVersion": str(told.entry.revision)}
        obj = encode(tables.table(resource, [shown], meta, columns=first))
    elif wanted is Form.METADATA:
        obj = encode(_metadata_only(view(told.entry, resource)))
    else:
        obj = _whole(resource, told.entry)
    return b'{"type":"' + told.kind.encode() + b'","object":' + obj + b"}\n"


def _whole(resource: Resource, entry: Entry) -> bytes:
    """An entry's JSON under the version that was asked for; its body was encoded once for all clients."""
    view(entry, resource)  # refuses what only a webhook could convert
    return _head(resource) + entry.body


def _items(resource: Resource, entries: Iterable[Entry]) -> Iterable[bytes]:
    for entry in entries:
        yield _whole(resource, entry) if resource.custom else b"{" + entry.body


def _head(resource: Resource) -> bytes:
    return encode({"kind": resource.kind, "apiVersion": resource.api_version})[:-1] + b","


def _metadata_only(obj: Object) -> Object:
    return {"kind": Form.METADATA.value, "apiVersion": META, "metadata": obj["metadata"]}


def _version(obj: Object) -> str:
    found: str = obj["metadata"].get("resourceVersion", "")
    return found
