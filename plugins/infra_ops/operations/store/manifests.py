"""The objects of a component as include/manifests/<component>/ has them, and the parts that they make."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from infra_ops.clients.applying import Deployer
from infra_ops.operations.store.parts import Part, Write
from infra_ops.shipped import MANIFESTS

Object = dict[str, Any]
ABSENT, DIFFERS, AS_WANTED = "absent", "differs", "as in the manifests"
PLURALS = {
    "ConfigMap": "configmaps",
    "NetworkPolicy": "networkpolicies",
    "PrometheusRule": "prometheusrules",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "ServiceMonitor": "servicemonitors",
    "StatefulSet": "statefulsets",
}
# What the server keeps by itself: it changes although nobody changed the object.
KEPT_BY_SERVER = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


def objects(component: str) -> list[Object]:
    """The objects of a component in the order of its kustomization, each with its namespace."""
    folder = MANIFESTS / component
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found = [item for name in kustomization["resources"] for item in yaml.safe_load_all((folder / name).read_text())]
    for item in found:
        item["metadata"]["namespace"] = kustomization["namespace"]
    return found


def digest(component: str, kind: str) -> str:
    """Eight hexadecimal digits that name what the objects of a kind say."""
    said = [item.get("data") or item.get("spec") for item in objects(component) if item["kind"] == kind]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:8]


def path_of(item: Object) -> str:
    """Where the API has the object."""
    version = item["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{item['metadata']['namespace']}/{PLURALS[item['kind']]}/{item['metadata']['name']}"


def served(cluster: Deployer, item: Object) -> bool:
    """Whether the cluster knows the object's kind. Raises ClusterError."""
    version = item["apiVersion"]
    if "/" not in version:
        return True
    known = cluster.find(f"/apis/{version}")
    return known is not None and item["kind"] in [resource["kind"] for resource in known["resources"]]


def parts(cluster: Deployer, component: str, complete: Callable[[Object], Object]) -> Iterator[Part]:
    """A part for each object of a kind that the cluster knows. `complete` adds what no file can know beforehand."""
    for item in objects(component):
        if served(cluster, item):
            yield _part(cluster, component, item, complete)


def left_out(cluster: Deployer, component: str) -> Iterator[str]:
    """A sentence for each object of a kind that the cluster does not know."""
    for item in objects(component):
        if not served(cluster, item):
            yield f"{item['kind']} {item['metadata']['name']} is left out: the cluster has no {item['apiVersion']}."


def _part(cluster: Deployer, component: str, item: Object, complete: Callable[[Object], Object]) -> Part:
    path, name = path_of(item), item["metadata"]["name"]

    def look() -> str:
        live = cluster.find(path)
        would_be = cluster.apply_strictly(path, complete(copy.deepcopy(item)), dry_run=True)
        if live is None:
            return ABSENT
        return AS_WANTED if _meaning(live) == _meaning(would_be) else DIFFERS

    def do(write: Write) -> None:
        wanted = complete(copy.deepcopy(item))
        write(f"apply {item['kind']} {name}", lambda: cluster.apply_strictly(path, wanted))

    target = f"{item['kind']} {item['metadata']['namespace']}/{name}"
    return Part(f"{component}.{item['kind'].lower()}.{name}", target, AS_WANTED, look, do)


def _meaning(item: Object) -> Object:
    """The object without what the server keeps by itself."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in KEPT_BY_SERVER}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}
