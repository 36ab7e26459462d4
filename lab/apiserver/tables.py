"""Tables: the columns that ``kubectl get`` shows."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lab.apiserver.resources import Resource

Object = dict[str, Any]
Cell = Callable[[Object], Any]


class Column(NamedTuple):
    """``priority`` 0 is always shown, 1 with ``-o wide``."""

    name: str
    cell: Cell
    kind: str = "string"
    priority: int = 0


def table(resource: Resource, objects: Sequence[Object], meta: Object, columns: bool = True) -> Object:
    """The meta/v1 Table of some objects; each row carries its object's metadata."""
    shown = _columns(resource)
    definitions = [
        {
            "name": column.name,
            "type": column.kind,
            "format": "name" if column.name == "Name" else "",
            "description": "",
            "priority": column.priority,
        }
        for column in shown
    ]
    rows = [
        {
            "cells": [column.cell(obj) for column in shown],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"],
            },
        }
        for obj in objects
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": definitions if columns else [],
        "rows": rows,
    }


def _columns(resource: Resource) -> list[Column]:
    name = Column("Name", lambda obj: obj["metadata"]["name"])
    age = Column("Age", lambda obj: since(obj["metadata"].get("creationTimestamp")))
    if resource.custom:
        declared = resource.custom.get("additionalPrinterColumns")
        return [name, *map(_declared, declared)] if declared else [name, age]
    if resource.id == ("", "events"):
        return _EVENTS
    columns = _BUILTIN.get(resource.id, [])
    return [name, *(column for column in columns if not column.priority), age, *(c for c in columns if c.priority)]


def since(moment: str | None) -> str:
    """The time since ``moment`` as kubectl writes ages: 45s, 5m3s, 3h12m, 2d4h, 30d."""
    if not moment:
        return "<unknown>"
    passed = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)
    return duration(int(passed.total_seconds()))


def duration(seconds: int) -> str:
    """Two units while they matter, one after, as k8s.io/apimachinery/pkg/util/duration.HumanDuration."""
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 2920:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(big: int, unit: str, small: int, less: str) -> str:
    return f"{big}{unit}{small}{less}" if small else f"{big}{unit}"


def _declared(entry: Object) -> Column:
    path, kind = entry["jsonPath"], entry.get("type", "string")

    def cell(obj: Object) -> Any:
        found = _at(obj, path)
        if kind == "date":
            return since(found) if found else "<unknown>"
        if isinstance(found, dict | list):
            return str(found)
        return found if found is None or kind in ("integer", "number", "boolean") else str(found)

    return Column(entry["name"], cell, kind, entry.get("priority", 0))


_STEP = re.compile(r"\.([\w-]+)|\.?\['([^']+)'\]|\[(\d+)\]|\[\?\(@\.([\w.]+)\s*==\s*[\"']([^\"']*)[\"']\)\]|\\\.")


def _at(obj: Any, path: str) -> Any:
    """The value at a simple JSONPath: fields, quoted keys, indexes and ``[?(@.type=="Ready")]``; None if missing."""
    position = 0
    path = path if path.startswith((".", "[")) else f".{path}"
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return None
        position = step.end()
        field, key, index, filtered, wanted = step.groups()
        if isinstance(obj, dict) and (field or key):
            obj = obj.get(field or key)
        elif isinstance(obj, list) and index:
            obj = obj[int(index)] if int(index) < len(obj) else None
        elif isinstance(obj, list) and filtered:
            obj = next((item for item in obj if str(_at(item, filtered)) == wanted), None)
        else:
            return None
    return obj


def _field(*path: str, missing: Any = "<none>") -> Cell:
    def cell(obj: Object) -> Any:
        found: Any = obj
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        return missing if found is None or found == "" else found

    return cell


def _pod_ready(pod: Object) -> str:
    states = (pod.get("status") or {}).get("containerStatuses") or []
    return f"{sum(1 for state in states if state.get('ready'))}/{len(pod['spec'].get('containers') or [])}"


def _pod_status(pod: Object) -> str:
    status = pod.get("status") or {}
    reason: str = status.get("reason") or status.get("phase") or "Unknown"
    for state in status.get("initContainerStatuses") or []:
        ended = (state.get("state") or {}).get("terminated")
        if ended and not ended.get("exitCode"):
            continue
        waiting = ((state.get("state") or {}).get("waiting") or {}).get("reason")
        return f"Init:{(ended or {}).get('reason') or waiting or 'PodInitializing'}"
    for state in status.get("containerStatuses") or []:
        now = state.get("state") or {}
        told = (now.get("waiting") or {}).get("reason") or (now.get("terminated") or {}).get("reason")
        reason = told or reason
    return "Terminating" if pod["metadata"].get("deletionTimestamp") else reason


def _pod_restarts(pod: Object) -> str:
    states = (pod.get("status") or {}).get("containerStatuses") or []
    return str(sum(state.get("restartCount", 0) for state in states))


def _node_status(node: Object) -> str:
    ready = _at(node, '.status.conditions[?(@.type=="Ready")].status')
    text = "Ready" if ready == "True" else "NotReady" if ready else "Unknown"
    return text + (",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else "")


def _node_roles(node: Object) -> str:
    start = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(start) for key in labels if key.startswith(start))) or "<none>"


def _node_address(node: Object) -> str:
    return _at(node, '.status.addresses[?(@.type=="InternalIP")].address') or "<none>"


def _replicas_ready(workload: Object) -> str:
    return f"{_field('status', 'readyReplicas', missing=0)(workload)}/{workload['spec'].get('replicas', 0)}"


def _service_ports(service: Object) -> str:
    ports = service["spec"].get("ports") or []
    return (
        ",".join(
            f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
            for port in ports
        )
        or "<none>"
    )


def _job_status(job: Object) -> str:
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition.get("status") == "True" and condition["type"] in ("Complete", "Failed", "Suspended"):
            return str(condition["type"])
    return "Running"


def _size(field: str) -> Cell:
    return lambda obj: len(obj.get(field) or {})


def _involved(event: Object) -> str:
    involved = event.get("involvedObject") or {}
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


_EVENTS = [
    Column("Last Seen", lambda event: since(event.get("lastTimestamp") or event["metadata"].get("creationTimestamp"))),
    Column("Type", _field("type")),
    Column("Reason", _field("reason")),
    Column("Object", _involved),
    Column("Message", _field("message")),
    Column("Name", lambda obj: obj["metadata"]["name"], priority=1),
]
_BUILTIN: dict[tuple[str, str], list[Column]] = {
    ("", "pods"): [
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _pod_restarts),
        Column("IP", _field("status", "podIP"), priority=1),
        Column("Node", _field("spec", "nodeName"), priority=1),
    ],
    ("", "nodes"): [
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        Column("Version", _field("status", "nodeInfo", "kubeletVersion", missing="")),
        Column("Internal-IP", _node_address, priority=1),
        Column("OS-Image", _field("status", "nodeInfo", "osImage", missing="<unknown>"), priority=1),
    ],
    ("", "namespaces"): [Column("Status", _field("status", "phase"))],
    ("", "configmaps"): [Column("Data", _size("data"), "integer")],
    ("", "secrets"): [Column("Type", _field("type")), Column("Data", _size("data"), "integer")],
    ("", "services"): [
        Column("Type", _field("spec", "type")),
        Column("Cluster-IP", _field("spec", "clusterIP")),
        Column("Port(s)", _service_ports),
    ],
    ("", "persistentvolumeclaims"): [
        Column("Status", _field("status", "phase")),
        Column("Volume", _field("spec", "volumeName", missing="")),
        Column("StorageClass", _field("spec", "storageClassName", missing="")),
    ],
    ("apps", "deployments"): [
        Column("Ready", _replicas_ready),
        Column("Up-to-date", _field("status", "updatedReplicas", missing=0), "integer"),
        Column("Available", _field("status", "availableReplicas", missing=0), "integer"),
    ],
    ("apps", "statefulsets"): [Column("Ready", _replicas_ready)],
    ("apps", "replicasets"): [
        Column("Desired", _field("spec", "replicas", missing=0), "integer"),
        Column("Current", _field("status", "replicas", missing=0), "integer"),
        Column("Ready", _field("status", "readyReplicas", missing=0), "integer"),
    ],
    ("apps", "daemonsets"): [
        Column("Desired", _field("status", "desiredNumberScheduled", missing=0), "integer"),
        Column("Current", _field("status", "currentNumberScheduled", missing=0), "integer"),
        Column("Ready", _field("status", "numberReady", missing=0), "integer"),
    ],
    ("batch", "jobs"): [Column("Status", _job_status)],
    ("batch", "cronjobs"): [
        Column("Schedule", _field("spec", "schedule")),
        Column("Suspend", lambda obj: str(obj["spec"].get("suspend", False))),
    ],
    ("storage.k8s.io", "storageclasses"): [Column("Provisioner", _field("provisioner"))],
    ("coordination.k8s.io", "leases"): [Column("Holder", _field("spec", "holderIdentity", missing=""))],
    ("apiextensions.k8s.io", "customresourcedefinitions"): [],
}
