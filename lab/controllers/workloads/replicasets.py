"""A ReplicaSet keeps its number of pods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.controllers.workloads.pods import dispensable_first, from_template, is_active, is_ready
from lab.controllers.workloads.view import View
from lab.controllers.workloads.writes import Create, Delete, Write, status_patch

Object = dict[str, Any]


def due(view: View) -> Iterator[Write]:
    """The writes that bring every ReplicaSet to its number of pods."""
    for replica_set in view.all("ReplicaSet"):
        if "deletionTimestamp" not in replica_set["metadata"]:
            yield from _one(view, replica_set)


def _one(view: View, replica_set: Object) -> Iterator[Write]:
    pods = list(view.owned("Pod", replica_set))
    active = sorted((pod for pod in pods if is_active(pod)), key=dispensable_first)
    wanted = replica_set["spec"].get("replicas", 1)
    for _ in range(wanted - len(active)):
        yield Create(from_template(replica_set, {}))
    for pod in active[: max(0, len(active) - wanted)]:
        yield Delete(pod)
    for pod in pods:
        if pod.get("status", {}).get("phase") == "Failed" and not pod["metadata"].get("deletionTimestamp"):
            yield Delete(pod)
    ready = sum(is_ready(pod) for pod in active)
    yield from status_patch(
        replica_set,
        {
            "replicas": len(active),
            "fullyLabeledReplicas": len(active),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "observedGeneration": replica_set["metadata"]["generation"],
        },
    )
