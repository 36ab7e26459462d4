"""A DaemonSet keeps one pod on every node that its template fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.controllers.workloads.pods import from_template, is_active, is_ready, template_hash
from lab.controllers.workloads.view import View
from lab.controllers.workloads.writes import Create, Delete, Write, status_patch
from lab.taints import tolerates

Object = dict[str, Any]

HASH_LABEL = "controller-revision-hash"
# Daemons stay on nodes in trouble: the controller adds these itself.
TOLERATIONS = [
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/pid-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
]


def due(view: View) -> Iterator[Write]:
    """The next writes of every DaemonSet."""
    for daemon_set in view.all("DaemonSet"):
        if "deletionTimestamp" not in daemon_set["metadata"]:
            yield from _one(view, daemon_set)


def _one(view: View, daemon_set: Object) -> Iterator[Write]:
    revision = template_hash(daemon_set["spec"]["template"])
    nodes = {node["metadata"]["name"] for node in view.all("Node") if _fits(daemon_set, node)}
    pods: dict[str, list[Object]] = {}
    for pod in view.owned("Pod", daemon_set):
        pods.setdefault(_node_of(pod), []).append(pod)
    for node in sorted(nodes - set(pods)):
        yield Create(_pod(daemon_set, node, revision))
    for node, there in pods.items():
        active = [pod for pod in there if is_active(pod)]
        for pod in there:
            finished = pod not in active and "deletionTimestamp" not in pod["metadata"]
            if finished or (pod in active and (node not in nodes or pod is not active[0])):
                yield Delete(pod)
    yield from _update(daemon_set, [pod for node in nodes for pod in pods.get(node, [])], len(nodes), revision)
    yield from status_patch(daemon_set, _status(daemon_set, nodes, pods, revision))


def _update(daemon_set: Object, pods: list[Object], wanted: int, revision: str) -> Iterator[Write]:
    """Replaces pods of an old revision, at most maxUnavailable (default 1) at a time."""
    strategy = daemon_set["spec"].get("updateStrategy", {})
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return
    limit = strategy.get("rollingUpdate", {}).get("maxUnavailable", 1)
    room = limit if isinstance(limit, int) else max(1, wanted * int(limit.removesuffix("%")) // 100)
    room -= wanted - sum(is_ready(pod) for pod in pods)
    for pod in sorted((pod for pod in pods if is_active(pod) and _outdated(pod, revision)), key=is_ready):
        if not is_ready(pod):
            yield Delete(pod)
        elif room > 0:
            room -= 1
            yield Delete(pod)


def _fits(daemon_set: Object, node: Object) -> bool:
    spec = daemon_set["spec"]["template"]["spec"]
    labels = node["metadata"].get("labels", {})
    if any(labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    tolerations = [*spec.get("tolerations", []), *TOLERATIONS]
    return all(
        taint["effect"] == "PreferNoSchedule" or any(tolerates(toleration, taint) for toleration in tolerations)
        for taint in node["spec"].get("taints", [])
    )


def _pod(daemon_set: Object, node: str, revision: str) -> Object:
    pod = from_template(daemon_set, {HASH_LABEL: revision})
    spec = pod["spec"]
    spec["tolerations"] = [*spec.get("tolerations", []), *TOLERATIONS]
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    spec.setdefault("affinity", {})["nodeAffinity"] = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}
    }
    return pod


def _node_of(pod: Object) -> str:
    """The node that a daemon's pod was made for, scheduled yet or not."""
    if name := pod["spec"].get("nodeName"):
        return str(name)
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])


def _outdated(pod: Object, revision: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get(HASH_LABEL) != revision)


def _status(daemon_set: Object, nodes: set[str], pods: dict[str, list[Object]], revision: str) -> Object:
    placed = [pod for node in nodes for pod in pods.get(node, []) if is_active(pod)]
    ready = sum(is_ready(pod) for pod in placed)
    return {
        "observedGeneration": daemon_set["metadata"]["generation"],
        "desiredNumberScheduled": len(nodes),
        "currentNumberScheduled": len(placed),
        "updatedNumberScheduled": sum(not _outdated(pod, revision) for pod in placed),
        "numberReady": ready,
        "numberAvailable": ready,
        "numberMisscheduled": len(set(pods) - nodes),
        "numberUnavailable": len(nodes) - ready or None,
    }
