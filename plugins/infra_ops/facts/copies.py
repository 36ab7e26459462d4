"""Where a value stands in the cluster: Secrets, ConfigMaps, workloads that write it out, and connections of Airflow.

Each kind is listed once, for however many values. What a Helm release or a Velero backup has kept is not looked at.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from infra_ops.clients.airflow import AirflowApi
from infra_ops.clients.kubernetes import Cluster, ClusterError
from infra_ops.clients.kv import Kv
from infra_ops.facts.connections import connections
from infra_ops.models.copies import Place, pattern

WORKLOADS = {
    "Deployment": "/apis/apps/v1/deployments",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "CronJob": "/apis/batch/v1/cronjobs",
    "Job": "/apis/batch/v1/jobs",
    "HelmChart": "/apis/helm.cattle.io/v1/helmcharts",
    "HelmChartConfig": "/apis/helm.cattle.io/v1/helmchartconfigs",
}


def find_copies(cluster: Cluster, api: AirflowApi | None, kv: Kv, values: Mapping[str, str]) -> dict[str, list[Place]]:
    """The places of each of `values` (id -> value), sorted. Raises ClusterError, HttpError, StoreError, Unreadable."""
    patterns = {id_: pattern(value) for id_, value in values.items()}
    found: dict[str, set[Place]] = {id_: set() for id_ in values}
    for place, content in chain(_places(cluster), connections(api, kv)):
        for id_, looked_for in patterns.items():
            if looked_for.search(content):
                found[id_].add(place)
    return {id_: sorted(places) for id_, places in found.items()}


def _places(cluster: Cluster) -> Iterator[tuple[Place, bytes]]:
    for item in cluster.list("/api/v1/secrets"):
        yield from _annotations("Secret", item)
        for key, value in (item.get("data") or {}).items():
            yield _place("Secret", item, key), base64.b64decode(value)
    for item in cluster.list("/api/v1/configmaps"):
        yield from _annotations("ConfigMap", item)
        for key, value in (item.get("data") or {}).items():
            yield _place("ConfigMap", item, key), value.encode()
        for key, value in (item.get("binaryData") or {}).items():
            yield _place("ConfigMap", item, key), base64.b64decode(value)
    for kind, path in WORKLOADS.items():
        for item in _listed(cluster, path):
            yield from _annotations(kind, item)
            yield _place(kind, item), json.dumps(item["spec"]).encode()


def _annotations(kind: str, item: Mapping[str, Any]) -> Iterator[tuple[Place, bytes]]:
    """`kubectl apply` keeps in one of them all that was applied last, values of Secrets included."""
    for key, value in (item["metadata"].get("annotations") or {}).items():
        yield _place(kind, item, key), value.encode()


def _place(kind: str, item: Mapping[str, Any], key: str = "") -> Place:
    return Place(kind, item["metadata"]["namespace"], item["metadata"]["name"], key)


def _listed(cluster: Cluster, path: str) -> Iterator[dict[str, Any]]:
    """Nothing, where the cluster does not know the kind."""
    try:
        yield from cluster.list(path)
    except ClusterError as error:
        if error.status != 404:
            raise
