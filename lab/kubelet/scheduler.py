"""Binds pods to nodes, where no other scheduler was faster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from decimal import Decimal

from lab import times
from lab.kube import ApiError, Kube, Object
from lab.kubelet import placement
from lab.kubelet.events import Recorder

log = logging.getLogger(__name__)

NAME = "default-scheduler"
_CONCURRENT_BINDINGS = 8
_RETRY_SECONDS = 1.0


class Scheduler:
    """Finds a node for every pod that has none and names no scheduler of its own."""

    def __init__(self, kube: Kube, events: Recorder) -> None:
        self._kube = kube
        self._events = events
        self._nodes: dict[str, Object] = {}
        self._pending: dict[str, Object] = {}  # uid -> pod
        self._placed: dict[str, tuple[str, Mapping[str, Decimal]]] = {}  # uid -> node, what the pod asks for
        self._told: dict[str, str] = {}  # uid -> why it could not be placed last time
        self._wake = asyncio.Event()
        self._gate = asyncio.Semaphore(_CONCURRENT_BINDINGS)

    def see_node(self, kind: str, node: Object) -> None:
        """Take note of one watch event of a node."""
        if kind == "DELETED":
            self._nodes.pop(node["metadata"]["name"], None)
        else:
            self._nodes[node["metadata"]["name"]] = node
        self._wake.set()

    def see_pod(self, kind: str, pod: Object) -> None:
        """Take note of one watch event of a pod."""
        uid = pod["metadata"]["uid"]
        gone = kind == "DELETED" or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if gone or pod["spec"].get("nodeName"):
            self._pending.pop(uid, None)
            self._told.pop(uid, None)
        if gone:
            self._placed.pop(uid, None)
        elif pod["spec"].get("nodeName"):
            self._placed[uid] = pod["spec"]["nodeName"], placement.requests(pod)
        elif _is_ours(pod) and uid not in self._placed:  # one that we just bound may still look unbound here
            self._pending[uid] = pod
        self._wake.set()

    async def run(self) -> None:
        """For ever: place what is pending whenever something changed."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for pod in sorted(self._pending.values(), key=lambda pod: str(pod["metadata"]["creationTimestamp"])):
                    self._place(pod, group)

    def _place(self, pod: Object, group: asyncio.TaskGroup) -> None:
        uid = pod["metadata"]["uid"]
        node, reason = placement.choose(pod, list(self._nodes.values()), self._used())
        if node:
            del self._pending[uid]
            self._placed[uid] = node, placement.requests(pod)
            group.create_task(self._bind(pod, node))
        elif self._told.get(uid) != reason:
            self._told[uid] = reason
            group.create_task(self._tell_unschedulable(pod, reason))

    def _used(self) -> dict[str, Mapping[str, Decimal]]:
        used: dict[str, Mapping[str, Decimal]] = {}
        for node, amounts in self._placed.values():
            used[node] = placement.add([used.get(node, {}), amounts])
        return used

    async def _bind(self, pod: Object, node: str) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
        body: Object = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            async with self._gate:
                await self._kube.request("POST", path, body=body)
        except ApiError as error:
            if error.status in (404, 409):  # deleted, or another scheduler was faster: the watch will tell
                self._placed.pop(metadata["uid"], None)
                return
            log.warning("pod %s/%s was not bound: %s", metadata["namespace"], metadata["name"], error)
            await self._try_again(pod)
        except ConnectionError as error:
            log.info("pod %s/%s was not bound: %s", metadata["namespace"], metadata["name"], error)
            await self._try_again(pod)
        else:
            text = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node}"
            self._events.scheduler(pod, "Normal", "Scheduled", text)

    async def _try_again(self, pod: Object) -> None:
        await asyncio.sleep(_RETRY_SECONDS)
        uid = pod["metadata"]["uid"]
        if self._placed.pop(uid, None):
            self._pending[uid] = pod
            self._wake.set()

    async def _tell_unschedulable(self, pod: Object, reason: str) -> None:
        metadata = pod["metadata"]
        self._events.scheduler(pod, "Warning", "FailedScheduling", reason)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": reason,
            "lastTransitionTime": times.seconds(),
        }
        body: Object = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        try:
            await self._kube.request("PATCH", path, body=body, content_type="application/strategic-merge-patch+json")
        except (ApiError, ConnectionError) as error:
            log.warning("pod %s/%s is not told yet: %s", metadata["namespace"], metadata["name"], error)
            await asyncio.sleep(_RETRY_SECONDS)
            self._told.pop(metadata["uid"], None)
            self._wake.set()


def _is_ours(pod: Object) -> bool:
    spec = pod["spec"]
    named = spec.get("schedulerName") or NAME
    return named == NAME and not spec.get("schedulingGates") and not pod["metadata"].get("deletionTimestamp")
