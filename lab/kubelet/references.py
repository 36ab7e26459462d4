"""Secrets, ConfigMaps and fields of the pod that a container refers to."""

from __future__ import annotations

import base64
import re
from decimal import ROUND_CEILING
from typing import Any

from lab.kube import ApiError, Kube, Object
from lab.kubelet import quantities

PLURALS = {"Secret": "secrets", "ConfigMap": "configmaps"}
_MAP_KEY = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class MissingReferenceError(Exception):
    """A pod refers to something that does not exist (yet); worded as the kubelet words it in statuses and events."""


async def data_of(kube: Kube, kind: str, namespace: str, name: str, *, optional: bool) -> dict[str, bytes]:
    """The keys and bytes of a Secret or ConfigMap; empty if it does not exist and is `optional`.

    Asked afresh at every use: a pod that is created right after its Secret must never see the Secret's former value.
    """
    try:
        obj = await kube.request("GET", f"/api/v1/namespaces/{namespace}/{PLURALS[kind]}/{name}")
    except ApiError as error:
        if error.status != 404:
            raise
        if optional:
            return {}
        raise MissingReferenceError(f'{kind.lower()} "{name}" not found') from error
    return decoded(obj)


def decoded(obj: Object) -> dict[str, bytes]:
    """The keys and bytes of a Secret or ConfigMap object (only a Secret's `data` and `binaryData` are base64)."""
    data = obj.get("data") or {}
    if obj["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
    return {key: value.encode() for key, value in data.items()} | binary


def field_of(pod: Object, path: str) -> str:
    """The text of a downward-API `fieldRef`; raises MissingReferenceError for a field that it cannot name."""
    keyed = _MAP_KEY.fullmatch(path)
    if keyed:
        return str((pod["metadata"].get(keyed[1]) or {}).get(keyed[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = sorted((pod["metadata"].get(path.split(".")[1]) or {}).items())
        return "\n".join(f'{key}="{_escaped(value)}"' for key, value in entries)
    value: Any = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict | list):
        raise MissingReferenceError(f"unsupported fieldPath: {path}")
    return "" if value is None else str(value)


def resource_of(pod: Object, reference: Object, container: Object) -> str:
    """The number of a `resourceFieldRef` (`limits.memory` …) in units of its divisor, rounded up; 0 if not set."""
    name = reference.get("containerName")
    if name:
        container = next(item for item in pod["spec"]["containers"] if item["name"] == name)
    kind, _, resource = reference["resource"].partition(".")
    wanted = container.get("resources", {}).get(kind, {}).get(resource, "0")
    divisor = quantities.parse(reference.get("divisor") or "1") or quantities.parse("1")
    return str((quantities.parse(wanted) / divisor).to_integral_value(ROUND_CEILING))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
