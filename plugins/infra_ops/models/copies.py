"""Where a value stands in the cluster, and the bytes by which it can be known there."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
SHORTEST = 6  # characters; shorter values stand everywhere by chance


@dataclass(frozen=True, order=True)
class Place:
    """A key or annotation of a Secret or ConfigMap, a workload, or a connection of Airflow: by its id, or its path in
    the store.
    """

    kind: str
    namespace: str
    name: str
    key: str = ""

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name}, {self.key}" if self.key else f"{self.kind} {name}"


def pattern(value: str) -> re.Pattern[bytes]:
    """Finds `value` as it is, in a URL, in JSON (also within JSON) and in base64, whatever is around it.

    A value of less than SHORTEST characters is found only where it stands alone or after a colon.
    """
    if len(value) < SHORTEST:
        return re.compile(rb"(?:^|[:=\s\"'])" + re.escape(value.encode()) + rb"(?:$|[@,;\s\"'])")
    in_json = json.dumps(value)[1:-1]
    as_go = re.sub("[&<>]", lambda match: f"\\u{ord(match[0]):04x}", in_json)
    forms = {in_json, as_go, as_go.replace("\\", "\\\\")}
    raw = {form.encode() for form in forms} | {_in_base64(value.encode(), before) for before in range(3)}
    return re.compile(b"|".join([_in_url(value.encode()), *(re.escape(form) for form in sorted(raw))]))


def _in_url(value: bytes) -> bytes:
    """Each byte as it is or escaped: libraries do not agree on which of them a user name in a URL may hold."""
    return b"".join(b"(?:%b|%%%02X|%%%02x)" % (re.escape(bytes([byte])), byte, byte) for byte in value)


def _in_base64(value: bytes, before: int) -> bytes:
    """The digits that `value` alone decides when `before` bytes precede it in a group of three."""
    digits = base64.b64encode(bytes(before) + value)
    first = (before * 8 + 5) // 6
    return digits[first : (before + len(value)) * 8 // 6]
