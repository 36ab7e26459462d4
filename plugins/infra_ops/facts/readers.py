"""Who reads a Secret, and what else stands in their pod specs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from infra_ops.clients.kubernetes import Cluster
from infra_ops.facts.workloads import KINDS, Workload

Pod = dict[str, Any]  # a pod spec
REPLACED = {"ReplicaSet", "StatefulSet", "DaemonSet"}


def readers(cluster: Cluster, namespace: str, secret: str) -> list[Workload]:
    """The workloads of the namespace whose pods use the Secret, by environment or as a file. Raises ClusterError."""
    found = []
    for kind, plural in KINDS.items():
        for item in cluster.list(f"/apis/apps/v1/namespaces/{namespace}/{plural}"):
            if secret in secrets_of(item["spec"]["template"]["spec"]):
                found.append(Workload(kind, namespace, item["metadata"]["name"]))
    return sorted(found, key=str)


def unowned_readers(cluster: Cluster, namespace: str, secret: str) -> list[tuple[str, datetime]]:
    """Name and start of each running pod that uses the Secret and that no workload would replace: a bare pod, a Job's.

    Raises ClusterError.
    """
    found = []
    for pod in cluster.list(f"/api/v1/namespaces/{namespace}/pods"):
        owners = {owner["kind"] for owner in pod["metadata"].get("ownerReferences") or [] if owner.get("controller")}
        ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if not ended and not owners & REPLACED and secret in secrets_of(pod["spec"]):
            began = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            found.append((f"Pod {namespace}/{pod['metadata']['name']}", began))
    return sorted(found)


def reading_specs(cluster: Cluster, namespace: str, secret: str) -> Iterator[tuple[str, Pod]]:
    """Name and pod spec of everything in the namespace that makes pods which use the Secret. Raises ClusterError."""
    for kind, plural in KINDS.items():
        for item in cluster.list(f"/apis/apps/v1/namespaces/{namespace}/{plural}"):
            yield from _if_reads(kind, item, item["spec"]["template"]["spec"], secret)
    for item in cluster.list(f"/apis/batch/v1/namespaces/{namespace}/cronjobs"):
        yield from _if_reads("CronJob", item, item["spec"]["jobTemplate"]["spec"]["template"]["spec"], secret)
    for item in cluster.list(f"/apis/batch/v1/namespaces/{namespace}/jobs"):
        yield from _if_reads("Job", item, item["spec"]["template"]["spec"], secret)


def texts_of(cluster: Cluster, namespace: str, pod: Pod) -> Iterator[tuple[str, str]]:
    """Everything that is written out for the containers of a pod, each with the place where: variables, command and
    arguments, and the ConfigMaps that it refers to. Raises ClusterError.
    """
    for container in _containers(pod):
        for variable in container.get("env") or []:
            if variable.get("value"):
                yield f"its variable {variable['name']}", f"{variable['name']}={variable['value']}"
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        yield f"the command of its container {container['name']}", " ".join(words)
    named = set(_references(pod, "configMap"))
    if named:
        for item in cluster.list(f"/api/v1/namespaces/{namespace}/configmaps"):
            if item["metadata"]["name"] in named:
                for key, text in (item.get("data") or {}).items():
                    yield f"ConfigMap {namespace}/{item['metadata']['name']}, {key}", text


def secrets_of(pod: Pod) -> set[str]:
    """The names of the Secrets that a pod spec refers to."""
    return set(_references(pod, "secret"))


def _if_reads(kind: str, item: dict[str, Any], pod: Pod, secret: str) -> Iterator[tuple[str, Pod]]:
    if secret in secrets_of(pod):
        yield f"{kind} {item['metadata']['namespace']}/{item['metadata']['name']}", pod


def _references(pod: Pod, kind: str) -> Iterator[str]:
    """Names of Secrets or ConfigMaps, by environment, volume and projected volume."""
    for container in _containers(pod):
        for source in container.get("envFrom") or []:
            yield source.get(f"{kind}Ref", {}).get("name", "")
        for variable in container.get("env") or []:
            yield (variable.get("valueFrom") or {}).get(f"{kind}KeyRef", {}).get("name", "")
    for volume in pod.get("volumes") or []:
        yield (volume.get(kind) or {}).get("secretName" if kind == "secret" else "name", "")
        for source in (volume.get("projected") or {}).get("sources") or []:
            yield (source.get(kind) or {}).get("name", "")


def _containers(pod: Pod) -> list[dict[str, Any]]:
    return [*pod.get("containers", []), *(pod.get("initContainers") or [])]
