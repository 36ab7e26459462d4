"""A Deployment moves its pods from one ReplicaSet to the next, within its surge and unavailability limits."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

from lab.controllers.workloads.pods import owner_reference, template_hash
from lab.controllers.workloads.view import View
from lab.controllers.workloads.writes import Create, Delete, Patch, Write, status_patch

Object = dict[str, Any]

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


def due(view: View) -> Iterator[Write]:
    """The next writes of every Deployment's rollout."""
    for deployment in view.all("Deployment"):
        if "deletionTimestamp" not in deployment["metadata"]:
            yield from _one(view, deployment)


def _one(view: View, deployment: Object) -> Iterator[Write]:
    name = template_hash(deployment["spec"]["template"])
    owned = list(view.owned("ReplicaSet", deployment))
    current = next((rs for rs in owned if rs["metadata"]["labels"].get(HASH_LABEL) == name), None)
    older = sorted((rs for rs in owned if rs is not current), key=_revision)
    latest = max(map(_revision, owned), default=0)
    if current is None:
        if not deployment["spec"].get("paused"):
            yield Create(_replica_set(deployment, name, latest + 1))
    else:
        if _revision(current) < latest or not _revision(current):
            yield Patch(current, {"metadata": {"annotations": {REVISION: str(latest + 1)}}})
        if deployment["metadata"].get("annotations", {}).get(REVISION) != str(_revision(current)):
            yield Patch(deployment, {"metadata": {"annotations": {REVISION: str(_revision(current))}}})
        if not deployment["spec"].get("paused"):
            recreate = deployment["spec"].get("strategy", {}).get("type") == "Recreate"
            yield from (_recreate if recreate else _roll)(deployment, current, older)
            yield from _forget(deployment, older)
    yield from status_patch(deployment, _status(deployment, current, owned))


def _replica_set(deployment: Object, name: str, revision: int) -> Object:
    spec = deployment["spec"]
    template = copy.deepcopy(spec["template"])
    template.setdefault("metadata", {}).setdefault("labels", {})[HASH_LABEL] = name
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{name}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {**spec["selector"].get("matchLabels", {}), HASH_LABEL: name}},
            "template": template,
        },
    }


def _recreate(deployment: Object, current: Object, older: list[Object]) -> Iterator[Write]:
    """All old pods go before the first new one comes."""
    yield from (_resize(rs, 0) for rs in older if _size(rs))
    wanted = deployment["spec"].get("replicas", 1)
    if _size(current) != wanted and not any(rs.get("status", {}).get("replicas") for rs in older):
        yield _resize(current, wanted)


def _roll(deployment: Object, current: Object, older: list[Object]) -> Iterator[Write]:
    """One step: grow the current set as far as the surge allows, or else shrink old ones as availability allows."""
    wanted = deployment["spec"].get("replicas", 1)
    surge, unavailable = _limits(deployment, wanted)
    total = _size(current) + sum(map(_size, older))
    size = min(wanted, _size(current) + max(0, wanted + surge - total))
    if size != _size(current):
        yield _resize(current, size)
        return
    spare = total - (wanted - unavailable) - (_size(current) - _available(current))
    for rs in sorted(older, key=_available):
        # Pods that do not work anyway may go first; working ones only while enough others work.
        going = min(_size(rs), max(spare, 0))
        if going:
            spare -= going
            yield _resize(rs, _size(rs) - going)


def _limits(deployment: Object, wanted: int) -> tuple[int, int]:
    """maxSurge (rounded up) and maxUnavailable (rounded down); both zero would never move, so one pod may miss."""
    rolling = deployment["spec"].get("strategy", {}).get("rollingUpdate", {})
    surge = _share(rolling.get("maxSurge", "25%"), wanted, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), wanted, math.floor)
    return surge, unavailable or (0 if surge else 1)


def _share(value: int | str, wanted: int, rounded: Any) -> int:
    return int(rounded(wanted * int(value.removesuffix("%")) / 100)) if isinstance(value, str) else value


def _forget(deployment: Object, older: list[Object]) -> Iterator[Write]:
    """Deletes the oldest empty sets beyond the history limit."""
    empty = [rs for rs in older if not _size(rs) and not rs.get("status", {}).get("replicas")]
    for rs in empty[: max(0, len(empty) - deployment["spec"].get("revisionHistoryLimit", 10))]:
        yield Delete(rs)


def _status(deployment: Object, current: Object | None, owned: list[Object]) -> Object:
    wanted = deployment["spec"].get("replicas", 1)

    def total(field: str) -> int:
        return sum(int(rs.get("status", {}).get(field, 0)) for rs in owned)

    updated = current.get("status", {}).get("replicas", 0) if current else 0
    available, replicas = total("availableReplicas"), total("replicas")
    unavailable_limit = _limits(deployment, wanted)[1]
    done = updated == wanted == replicas and available >= wanted
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available) or None,
        "conditions": [
            _condition(deployment, "Available", available >= wanted - unavailable_limit, "MinimumReplicasAvailable"),
            _condition(deployment, "Progressing", True, "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"),
        ],
    }


def _condition(deployment: Object, kind: str, holds: bool, reason: str) -> Object:
    """A condition that keeps its times while nothing about it changes."""
    status = "True" if holds else "False"
    reason = reason if holds else "MinimumReplicasUnavailable"
    for old in deployment.get("status", {}).get("conditions") or []:
        if (old["type"], old["status"], old.get("reason")) == (kind, status, reason):
            return dict(old)
    return {"type": kind, "status": status, "reason": reason}


def _size(replica_set: Object) -> int:
    return int(replica_set["spec"].get("replicas", 1))


def _resize(replica_set: Object, replicas: int) -> Write:
    return Patch(replica_set, {"spec": {"replicas": replicas}})


def _available(replica_set: Object) -> int:
    return int(replica_set.get("status", {}).get("availableReplicas", 0))


def _revision(replica_set: Object) -> int:
    return int(replica_set["metadata"].get("annotations", {}).get(REVISION, 0))
