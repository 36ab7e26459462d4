"""What the cluster says: which Services there are, and who stands behind them. Pure: asks and changes nothing.

The pods are read, not EndpointSlices: a real API server refuses loopback addresses there, and the lab's pods have no
others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.kube import Object

Address = tuple[str, int]
_Key = tuple[str, str]


@dataclass(frozen=True, order=True)
class ServicePort:
    """One TCP port of a Service."""

    namespace: str
    service: str
    port: int

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}:{self.port}"


class View:
    """The Services and pods that watches have shown so far.

    `backends` names servers outside of the cluster that stand behind a Service's port (`namespace/name:port`) instead
    of its pods.
    """

    def __init__(self, backends: Mapping[str, Address]) -> None:
        self._backends = backends
        self._services: dict[_Key, Object] = {}
        self._pods: dict[_Key, Object] = {}

    def see_service(self, kind: str, service: Object) -> None:
        """Take note of one watch event."""
        _note(self._services, kind, service)

    def see_pod(self, kind: str, pod: Object) -> None:
        """Take note of one watch event."""
        _note(self._pods, kind, pod)

    def ports(self) -> set[ServicePort]:
        """The ports that somebody is meant to stand behind."""
        return {
            port
            for (namespace, name), service in self._services.items()
            for port in (ServicePort(namespace, name, entry["port"]) for entry in _tcp(service))
            if service["spec"].get("selector") or str(port) in self._backends
        }

    def endpoints(self, port: ServicePort) -> list[Address]:
        """Where a new connection may go now: the backend, or the pods that are ready."""
        if str(port) in self._backends:
            return [self._backends[str(port)]]
        service = self._services.get((port.namespace, port.service))
        entry = next((entry for entry in _tcp(service) if entry["port"] == port.port), None) if service else None
        if not service or not entry:
            return []
        selector = service["spec"].get("selector") or {}
        return [
            (pod["status"]["podIP"], number)
            for (namespace, _), pod in sorted(self._pods.items())
            if namespace == port.namespace
            and selector.items() <= (pod["metadata"].get("labels") or {}).items()
            and _is_ready(pod)
            and (number := _number(pod, entry.get("targetPort") or entry["port"]))
        ]


def _note(known: dict[_Key, Object], kind: str, obj: Object) -> None:
    key = obj["metadata"]["namespace"], obj["metadata"]["name"]
    if kind == "DELETED":
        known.pop(key, None)
    else:
        known[key] = obj


def _tcp(service: Object) -> list[Object]:
    return [entry for entry in service["spec"].get("ports") or [] if entry.get("protocol", "TCP") == "TCP"]


def _is_ready(pod: Object) -> bool:
    """As the endpoints controller sees it: a pod that is being deleted gets no new connections."""
    status = pod.get("status") or {}
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or [])
    return ready and bool(status.get("podIP")) and not pod["metadata"].get("deletionTimestamp")


def _number(pod: Object, target: int | str) -> int | None:
    """A target port's number in this pod, which may only name it; None if no container has a port of that name."""
    if isinstance(target, int):
        return target
    named = (port for container in pod["spec"]["containers"] for port in container.get("ports") or [])
    return next((port["containerPort"] for port in named if port.get("name") == target), None)
