"""Who reads a Secret, and how far a rollout has come."""

from __future__ import annotations

from collections.abc import Iterator
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
    """How far a workload's newest template has come; `missing` says in words what is, "" when nothing is."""

    workload: Workload
    missing: str


def readers(cluster: Cluster, namespace: str, secret: str) -> list[Workload]:
    """The workloads of the namespace whose pods use the Secret, by environment or as a file. Raises ClusterError."""
    found = []
    for kind, plural in KINDS.items():
        for item in cluster.list(f"/apis/apps/v1/namespaces/{namespace}/{plural}"):
            if secret in set(secrets_of(item["spec"]["template"]["spec"])):
                found.append(Workload(kind, namespace, item["metadata"]["name"]))
    return sorted(found, key=str)


def secrets_of(pod: dict[str, Any]) -> Iterator[str]:
    """The names of the Secrets that a pod spec refers to."""
    for container in [*pod.get("containers", []), *pod.get("initContainers", [])]:
        for source in container.get("envFrom") or []:
            yield source.get("secretRef", {}).get("name", "")
        for variable in container.get("env") or []:
            yield variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name", "")
    for volume in pod.get("volumes") or []:
        yield volume.get("secret", {}).get("secretName", "")
        for source in volume.get("projected", {}).get("sources") or []:
            yield source.get("secret", {}).get("name", "")


def literals_of(pod: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and value of every environment variable that is written out in a pod spec."""
    for container in [*pod.get("containers", []), *pod.get("initContainers", [])]:
        for variable in container.get("env") or []:
            if variable.get("value"):
                yield variable["name"], variable["value"]


def pods(cluster: Cluster, workload: Workload) -> list[tuple[str, str]]:
    """Name and address of each pod of the workload. Raises ClusterError."""
    labels = cluster.get(workload.path)["spec"]["selector"].get("matchLabels", {})
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = cluster.list(f"/api/v1/namespaces/{workload.namespace}/pods", labelSelector=selector)
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
    else:
        missing = ""
    return Rollout(workload, missing)
