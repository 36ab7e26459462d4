"""Reading the protobuf bodies that Go clients write (client-go from 1.32 on, and so kubectl create and helm).

Only requests are read; answers stay JSON, which every client accepts. Which messages are known is in
``data/protobuf.yaml``.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
Field = tuple[str, list[str]]  # the JSON name, and the words that say what it holds

MAGIC = b"k8s\0"
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}


class Unsupported(ValueError):
    """The body holds a kind that this server does not read from protobuf."""


@cache
def _messages() -> dict[str, dict[int, Field]]:
    document = yaml.safe_load((Path(__file__).parent / "data" / "protobuf.yaml").read_text())
    return {
        message: {number: (text.split()[0], text.split()[1:]) for number, text in fields.items()}
        for message, fields in document.items()
    }


def decode(body: bytes) -> Object:
    """The object in a Kubernetes protobuf envelope. Raises Unsupported, and ValueError for a broken body."""
    if not body.startswith(MAGIC):
        raise ValueError("not a Kubernetes protobuf body")
    envelope = dict(_fields(body[len(MAGIC) :]))
    kind = dict(_fields(_bytes(envelope.get(1, b""))))
    name = _bytes(kind.get(2, b"")).decode()
    if name not in _messages():
        raise Unsupported(f"{name} is not read from protobuf here")
    obj = _message(name, _bytes(envelope.get(2, b"")))
    return {"apiVersion": _bytes(kind.get(1, b"")).decode(), "kind": name, **obj}


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The (number, raw value) pairs of a message. Raises ValueError."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == LENGTH:
            size, position = _varint(data, position)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError(f"protobuf wire type {wire} is not known")
        if position + size > len(data):
            raise ValueError("protobuf body ends in the middle of a field")
        yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("protobuf body ends in the middle of a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _message(name: str, data: bytes) -> Object:
    """One message as its JSON object; what the table does not know of it is an error, so that nothing gets lost."""
    obj: Object = {}
    known = _messages()[name]
    for number, raw in _fields(data):
        if number not in known:
            raise Unsupported(f"field {number} of {name} is not read from protobuf here")
        field, words = known[number]
        kind, optional = (words[0].rstrip("*"), words[0].endswith("*")) if words else ("string", False)
        if kind == "ignored":
            continue
        if kind == "map":
            entry = dict(_fields(_bytes(raw)))
            key = _bytes(entry.get(1, b"")).decode()
            obj.setdefault(field, {})[key] = _value(words[1] if len(words) > 1 else "string", entry.get(2, b""))
        elif kind == "list":
            obj.setdefault(field, []).append(_value(words[1] if len(words) > 1 else "string", raw))
        else:
            value = _value(kind, raw)
            # Go writes the zero values of all fields that are no pointers; JSON leaves them out.
            if optional or value not in ("", 0, False, {}, None):
                obj.update(value) if field == "inline" else obj.__setitem__(field, value)
    return obj


def _value(kind: str, raw: bytes | int) -> Any:
    if kind == "bool":
        return bool(raw)
    if kind == "int":
        number = int(raw) if isinstance(raw, int) else 0
        return number - (1 << 64) if number >= 1 << 63 else number
    data = _bytes(raw)
    if kind == "string":
        return data.decode()
    if kind == "bytes":
        return base64.b64encode(data).decode()
    special = _SPECIAL.get(kind)
    return special(dict(_fields(data))) if special else _message(kind, data)


def _time(fields: dict[int, bytes | int]) -> str | None:
    seconds = fields.get(1, 0)
    if not isinstance(seconds, int) or not 0 < seconds < 1 << 62:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(fields: dict[int, bytes | int]) -> str | None:
    whole, nanos = _time(fields), fields.get(2, 0)
    return f"{whole[:-1]}.{int(nanos) // 1000:06}Z" if whole and isinstance(nanos, int) else None


def _int_or_string(fields: dict[int, bytes | int]) -> int | str:
    if fields.get(1):
        return _bytes(fields.get(3, b"")).decode()
    value: int = _value("int", fields.get(2, 0))
    return value


_SPECIAL: dict[str, Any] = {
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": lambda fields: _bytes(fields.get(1, b"")).decode(),
    "IntOrString": _int_or_string,
}


def _bytes(raw: bytes | int) -> bytes:
    if isinstance(raw, int):
        raise ValueError("protobuf body holds a number where a text belongs")
    return raw
