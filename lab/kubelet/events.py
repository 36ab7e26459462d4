"""Events: what happens to pods and nodes, told to whoever reads `kubectl describe`."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from lab import times
from lab.kube import ApiError, Kube, Object

log = logging.getLogger(__name__)

_LONGEST_MESSAGE = 1024
_REMEMBERED = 4096


@dataclass(frozen=True)
class _Happening:
    involved: tuple[tuple[str, str], ...]  # the fields of an ObjectReference
    type: str
    reason: str
    message: str
    component: str
    host: str


class Recorder:
    """Sends events in the background, in order; the same event again raises the count of the former one.

    Events are best effort as everywhere in Kubernetes: one that the server refuses is logged and dropped.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._queue: asyncio.Queue[_Happening] = asyncio.Queue()
        self._sent: dict[_Happening, tuple[str, int]] = {}  # -> name of the Event, count

    def pod(self, pod: Object, type_: str, reason: str, message: str, *, container: str = "") -> None:
        """Tell what the kubelet saw of a pod, or of the container with the given field path (`spec.containers{x}`)."""
        self._add(pod, type_, reason, message, "kubelet", pod["spec"].get("nodeName", ""), container)

    def scheduler(self, pod: Object, type_: str, reason: str, message: str) -> None:
        """Tell what the scheduler decided about a pod."""
        self._add(pod, type_, reason, message, "default-scheduler", "", "")

    def node(self, node: Object, type_: str, reason: str, message: str) -> None:
        """Tell what happened to a node."""
        self._add(node, type_, reason, message, "kubelet", node["metadata"]["name"], "")

    async def run(self) -> None:
        """For ever: send what was told."""
        while True:
            happening = await self._queue.get()
            try:
                await self._send(happening)
            except ApiError as error:  # such as a namespace that is being deleted
                log.debug("event %s was refused: %s", happening.reason, error)
            except ConnectionError as error:
                log.info("event %s is lost: %s", happening.reason, error)

    def _add(
        self, obj: Object, type_: str, reason: str, message: str, component: str, host: str, field_path: str
    ) -> None:
        involved = {
            "apiVersion": "v1",
            "kind": obj["kind"],
            "namespace": obj["metadata"].get("namespace", ""),
            "name": obj["metadata"]["name"],
            "uid": obj["metadata"]["uid"],
            "fieldPath": field_path,
        }
        fields = tuple((name, value) for name, value in involved.items() if value)
        self._queue.put_nowait(_Happening(fields, type_, reason, message[:_LONGEST_MESSAGE], component, host))

    async def _send(self, happening: _Happening) -> None:
        involved = dict(happening.involved)
        path = f"/api/v1/namespaces/{involved.get('namespace', 'default')}/events"
        now = times.seconds()
        if happening in self._sent:
            name, count = self._sent[happening]
            self._sent[happening] = name, count + 1
            try:
                change: Object = {"count": count + 1, "lastTimestamp": now}
                await self._kube.request(
                    "PATCH", f"{path}/{name}", body=change, content_type="application/merge-patch+json"
                )
                return
            except ApiError as error:
                if error.status != 404:  # events expire
                    raise
        name = f"{involved['name']}.{time.time_ns():x}"
        if len(self._sent) >= _REMEMBERED:
            self._sent.clear()
        self._sent[happening] = name, 1
        await self._kube.request("POST", path, body=_event(happening, name, now))


def _event(happening: _Happening, name: str, now: str) -> Object:
    involved = dict(happening.involved)
    source = {"component": happening.component} | ({"host": happening.host} if happening.host else {})
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": involved.get("namespace", "default")},
        "involvedObject": involved,
        "type": happening.type,
        "reason": happening.reason,
        "message": happening.message,
        "source": source,
        "reportingComponent": happening.component,
        "reportingInstance": happening.host,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
