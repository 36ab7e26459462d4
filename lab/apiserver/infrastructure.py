"""The objects that a server has from its first start, brought back at every later one."""

from __future__ import annotations

from functools import partial
from typing import Any

from lab.apiserver import services
from lab.apiserver.access import GROUP, KINDS
from lab.apiserver.bootstrap import bootstrap_policy
from lab.apiserver.registry import Registry

Object = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
PRIORITY_CLASSES = {
    "system-cluster-critical": (2_000_000_000, "Used for system critical pods that must run in the cluster, but can be "
                                "moved to another node if necessary."),
    "system-node-critical": (2_000_001_000, "Used for system critical pods that must not be moved from their current "
                             "node."),
}  # fmt: skip


def publish(registry: Registry, port: int, authority: str) -> None:
    """Create what is missing; ``authority`` is the CA certificate (PEM) that clients of extension servers check."""
    for name in NAMESPACES:
        _ensure(registry, ("", "namespaces"), "", {"metadata": {"name": name}})
    for name, (value, description) in PRIORITY_CLASSES.items():
        item = {"metadata": {"name": name}, "value": value, "description": description}
        _ensure(registry, ("scheduling.k8s.io", "priorityclasses"), "", item)
    config = {
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {"client-ca-file": authority},
    }
    _ensure(registry, ("", "configmaps"), "kube-system", config, data=config["data"])
    _publish_service(registry, port)
    _reconcile_policy(registry)


def _publish_service(registry: Registry, port: int) -> None:
    """The Service ``kubernetes``, and where the server behind it listens."""
    first = str(next(services.ADDRESSES.hosts()))
    own = {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}}
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]
    service = {"metadata": own, "spec": {"clusterIP": first, "ports": ports}}
    _ensure(registry, ("", "services"), "default", service)
    subsets = [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}]
    endpoints = {"metadata": {"name": "kubernetes", "namespace": "default"}, "subsets": subsets}
    _ensure(registry, ("", "endpoints"), "default", endpoints, subsets=subsets)


def _ensure(registry: Registry, kind: tuple[str, str], namespace: str, obj: Object, **fields: Any) -> None:
    """Create ``obj``, or set only ``fields`` of the one that is there."""
    resource, name = registry.resource(*kind), obj["metadata"]["name"]
    if registry.find(resource, namespace, name) is None:
        registry.create(resource, namespace, obj)
    elif fields:
        registry.update(resource, namespace, name, lambda present: {**present, **fields})


def _reconcile_policy(registry: Registry) -> None:
    """Bring back the default roles and bindings, unless somebody took one into his own hands by its annotation.

    Rules and subjects that were added stay, as on a real server.
    """
    kinds = {registry.resource(GROUP, plural).kind: registry.resource(GROUP, plural) for plural in KINDS}
    for wanted in bootstrap_policy():
        resource, name = kinds[wanted["kind"]], wanted["metadata"]["name"]
        present = registry.find(resource, "", name)
        if present is None:
            registry.create(resource, "", wanted)
        elif (present["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "true":
            registry.update(resource, "", name, partial(_united, wanted))


def _united(wanted: Object, present: Object) -> Object:
    for field in ("rules", "subjects"):
        have = present.get(field) or []
        missing = [item for item in wanted.get(field) or [] if item not in have]
        if missing:
            present[field] = [*have, *missing]
    if "aggregationRule" in wanted:
        present["aggregationRule"] = wanted["aggregationRule"]
    return present
