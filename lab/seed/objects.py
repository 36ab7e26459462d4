"""Turns the seed into Kubernetes objects, in the order in which they can be applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.seed.cluster import Cluster, Container, Namespace, Workload

Object = dict[str, Any]


def places(cluster: Cluster) -> Iterator[Object]:
    """Yields the namespaces, and the Services, whose addresses must be known before anything can refer to them."""
    for name in cluster.namespaces:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for name, namespace in cluster.namespaces.items():
        for workload in namespace.workloads:
            if workload.port:
                yield _service(name, workload)


def objects(cluster: Cluster, words: Mapping[str, object]) -> Iterator[Object]:
    """Yields everything else. `words` fill the Secrets (lab/seed/templates.py), which raise KeyError for one that is
    missing.
    """
    for name, namespace in cluster.namespaces.items():
        yield from _secrets(name, namespace, words)
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


def _secrets(place: str, namespace: Namespace, words: Mapping[str, object]) -> Iterator[Object]:
    for name, data in namespace.secrets.items():
        yield {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": place},
            "type": "Opaque",
            "stringData": {key: value.format_map(words) for key, value in data.items()},
        }


def _service(namespace: str, workload: Workload) -> Object:
    labels = {"app.kubernetes.io/name": workload.name}
    port: Object = {"name": "main", "port": workload.port, "protocol": "TCP"}
    if workload.container_port:
        port["targetPort"] = workload.container_port
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": workload.name, "namespace": namespace, "labels": labels},
        "spec": {"selector": labels, "ports": [port]},
    }


def _workload(namespace: str, workload: Workload) -> Iterator[Object]:
    labels = {"app.kubernetes.io/name": workload.name}
    metadata = {"name": workload.name, "namespace": namespace, "labels": labels}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": workload.name, "namespace": namespace}}
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
    container = _container(workload)
    mounted = [(name, {"secret": {"secretName": name}}, path) for name, path in workload.files.items()]
    for index, path in enumerate(workload.host_paths):
        mounted.append((f"host-{index}", {"hostPath": {"path": path}}, f"/mnt/host-{index}"))
    if workload.storage:
        mounted.append(("data", {"persistentVolumeClaim": {"claimName": f"{workload.name}-data"}}, "/mnt/data"))
    if workload.port:
        number = workload.container_port or workload.port
        container["ports"] = [{"name": "main", "containerPort": number, "protocol": "TCP"}]
    if workload.ready_port:
        container["readinessProbe"] = {"tcpSocket": {"port": workload.ready_port}, "periodSeconds": 1}
    if workload.privileged:
        container["securityContext"] = {"privileged": True}
    if mounted:
        container["volumeMounts"] = [{"name": name, "mountPath": path} for name, _, path in mounted]
    pod: Object = {"serviceAccountName": workload.name, "containers": [container, *map(_container, workload.sidecars)]}
    if mounted:
        pod["volumes"] = [{"name": name, **source} for name, source, _ in mounted]
    if workload.host_network:
        pod["hostNetwork"] = True
    return pod


def _container(spec: Container) -> Object:
    container: Object = {"name": spec.name, "image": spec.image}
    if spec.env_from:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in spec.env_from]
    variables: list[Object] = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in spec.fields.items()
    ]
    for name, place in spec.keys.items():
        secret, _, key = place.partition("/")
        variables.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    variables += [{"name": name, "value": value} for name, value in spec.values.items()]
    if variables:
        container["env"] = variables
    return container
