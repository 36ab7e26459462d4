"""The workloads of a cluster: their pods, and how far a rollout has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra_ops.clients.kubernetes import Cluster, ClusterError

KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet."""

    kind: str
    namespace: str
    name: str

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{KINDS[self.kind]}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Rollout:
    """How far a workload's newest template has come: `missing` says in words what is, "" when nothing is; `wanted` is
    how many pods there are to be.
    """

    workload: Workload
    missing: str
    wanted: int


def pods(cluster: Cluster, workload: Workload) -> list[tuple[str, str]]:
    """Name and address of each pod of the workload. Raises ClusterError."""
    found = _pods(cluster, cluster.get(workload.path))
    return [(pod["metadata"]["name"], pod.get("status", {}).get("podIP", "")) for pod in found]


def template(cluster: Cluster, workload: Workload) -> dict[str, Any] | None:
    """The pod template of a workload; None when there is no such workload. Raises ClusterError."""
    try:
        found: dict[str, Any] = cluster.get(workload.path)["spec"]["template"]
    except ClusterError as error:
        if error.status == 404:
            return None
        raise
    return found


def rollout(cluster: Cluster, workload: Workload) -> Rollout:
    """Whether every pod of the workload runs its newest template and is ready. Raises ClusterError."""
    item = cluster.get(workload.path)
    status, wanted = item.get("status", {}), item["spec"].get("replicas", 1)
    if workload.kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        updated, running = status.get("updatedNumberScheduled", 0), status.get("currentNumberScheduled", 0)
        ready = status.get("numberReady", 0)
    else:
        updated, running = status.get("updatedReplicas", 0), status.get("replicas", 0)
        ready = status.get("readyReplicas", 0)
    if status.get("observedGeneration", 0) < item["metadata"]["generation"]:
        missing = "its controller has not seen the change yet"
    elif updated < wanted:
        missing = f"{updated} of {wanted} pods run the new template"
    elif running > updated:
        missing = f"{running - updated} pods of the old template still run"
    elif ready < wanted:
        missing = f"{ready} of {wanted} pods are ready"
    elif ending := _ending(cluster, item):
        missing = f"{ending} pods of it have not ended yet"
    else:
        missing = ""
    return Rollout(workload, missing, wanted)


def _ending(cluster: Cluster, item: dict[str, Any]) -> int:
    """Pods that were told to end and still run: no status of a workload counts them."""
    pods = _pods(cluster, item)
    return sum(1 for pod in pods if pod["metadata"].get("deletionTimestamp"))


def _pods(cluster: Cluster, item: dict[str, Any]) -> list[dict[str, Any]]:
    labels = item["spec"]["selector"].get("matchLabels", {})
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    path = f"/api/v1/namespaces/{item['metadata']['namespace']}/pods"
    return list(cluster.list(path, labelSelector=selector))
