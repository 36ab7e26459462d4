"""Pods as a workload controller sees them: made from a template, alive or not, ready or not."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

# Kubernetes spells hashes with letters and digits that cannot form words.
SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
HASH_LENGTH = 10


def template_hash(template: Object) -> str:
    """A short name for a pod template: equal templates have equal names."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(SAFE_LETTERS[byte % len(SAFE_LETTERS)] for byte in digest[:HASH_LENGTH])


def owner_reference(owner: Object) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def from_template(owner: Object, labels: Mapping[str, str], *, name: str = "") -> Object:
    """A pod made from the owner's template, with `labels` added; without a name the server picks one."""
    template = copy.deepcopy(owner["spec"]["template"])
    metadata: Object = {
        "namespace": owner["metadata"]["namespace"],
        "labels": {**template.get("metadata", {}).get("labels", {}), **labels},
        "ownerReferences": [owner_reference(owner)],
    }
    if annotations := template.get("metadata", {}).get("annotations"):
        metadata["annotations"] = annotations
    metadata |= {"name": name} if name else {"generateName": f"{owner['metadata']['name']}-"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def is_active(pod: Object) -> bool:
    """Neither finished nor being deleted."""
    return not is_terminating(pod) and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def is_terminating(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return not is_terminating(pod) and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def dispensable_first(pod: Object) -> tuple[bool, bool, str]:
    """Sort key: which pod a scale-down takes first (unscheduled, then unready, then the youngest)."""
    return bool(pod["spec"].get("nodeName")), is_ready(pod), _reversed(pod["metadata"].get("creationTimestamp", ""))


def _reversed(timestamp: str) -> str:
    return "".join(chr(0x10FFFF - ord(letter)) for letter in timestamp)
