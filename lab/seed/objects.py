"""Turns the seed into Kubernetes objects, in the order in which they can be applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.seed.cluster import Cluster, Namespace, Workload

Object = dict[str, Any]


def objects(cluster: Cluster, credentials: Mapping[str, str]) -> Iterator[Object]:
    """Yields every object of the seed; `credentials` maps a credential's id to its value.

    Raises KeyError when a secret names a credential that the lab does not have.
    """
    for name in cluster.namespaces:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for name, namespace in cluster.namespaces.items():
        yield from _secrets(name, namespace, credentials)
        for workload in namespace.workloads:
            yield from _workload(name, workload)
    for account in cluster.cluster_admins:
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{account.service_account}-cluster-admin"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": account.service_account, "namespace": account.namespace}],
        }


def _secrets(place: str, namespace: Namespace, credentials: Mapping[str, str]) -> Iterator[Object]:
    for name, data in namespace.secrets.items():
        yield {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": place},
            "type": "Opaque",
            "stringData": {key: value.format_map(credentials) for key, value in data.items()},
        }


def _workload(namespace: str, workload: Workload) -> Iterator[Object]:
    labels = {"app.kubernetes.io/name": workload.name}
    metadata = {"name": workload.name, "namespace": namespace, "labels": labels}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": workload.name, "namespace": namespace}}
    if workload.port:
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "main", "port": workload.port, "protocol": "TCP"}]},
        }
    spec: Object = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": _pod(workload)},
    }
    if workload.kind != "DaemonSet":
        spec["replicas"] = workload.replicas
    if workload.kind == "StatefulSet":
        spec["serviceName"] = workload.name
    yield {"apiVersion": "apps/v1", "kind": workload.kind, "metadata": metadata, "spec": spec}
    if workload.storage:
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": f"{workload.name}-data", "namespace": namespace, "labels": labels},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "longhorn",
                "resources": {"requests": {"storage": workload.storage}},
            },
        }


def _pod(workload: Workload) -> Object:
    container: Object = {"name": workload.name, "image": workload.image}
    volumes: list[Object] = []
    if workload.port:
        container["ports"] = [{"name": "main", "containerPort": workload.port, "protocol": "TCP"}]
    if workload.env_from:
        container["envFrom"] = [{"secretRef": {"name": workload.env_from}}]
    if workload.privileged:
        container["securityContext"] = {"privileged": True}
    for index, path in enumerate(workload.host_paths):
        volumes.append({"name": f"host-{index}", "hostPath": {"path": path}})
    if workload.storage:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": f"{workload.name}-data"}})
    if volumes:
        container["volumeMounts"] = [{"name": v["name"], "mountPath": f"/mnt/{v['name']}"} for v in volumes]
    pod: Object = {"serviceAccountName": workload.name, "containers": [container], "volumes": volumes}
    if workload.host_network:
        pod["hostNetwork"] = True
    return {key: value for key, value in pod.items() if value != []}
