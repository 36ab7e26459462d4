"""All pods of the lab's nodes: which of them live on this kubelet now."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable

from lab.errors import one_line
from lab.kube import Object
from lab.kubelet.pods import Pod
from lab.kubelet.reporter import Reporter
from lab.kubelet.runtime import Runtime

log = logging.getLogger(__name__)


class Manager:
    """Starts, updates and ends pods as the API server's objects and the nodes' power switches ask for it."""

    def __init__(self, runtime: Runtime, is_on: Callable[[str], bool]) -> None:
        """`is_on` tells whether a node is one of ours and has power."""
        self._runtime = runtime
        self._is_on = is_on
        self._objects: dict[str, Object] = {}  # uid -> newest version of every bound pod
        self._pods: dict[str, Pod] = {}  # uid -> those that live here
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def find(self, namespace: str, name: str) -> Pod | None:
        """The living pod of that name."""
        for pod in self._pods.values():
            metadata = pod.object["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return pod
        return None

    def see(self, kind: str, obj: Object) -> None:
        """Take note of one watch event of a pod."""
        if not obj["spec"].get("nodeName"):
            return
        uid = obj["metadata"]["uid"]
        if kind == "DELETED":
            self._end(obj)
            return
        self._objects[uid] = obj
        if uid in self._pods:
            self._pods[uid].update(obj)
        elif self._is_on(obj["spec"]["nodeName"]):
            self._begin(obj)

    def see_data(self, kind: str, obj: Object) -> None:
        """Take note of a changed Secret or ConfigMap."""
        for pod in self._pods.values():
            if pod.object["metadata"]["namespace"] == obj["metadata"]["namespace"]:
                pod.invalidate(kind, obj["metadata"]["name"])

    def switch(self, node: str, on: bool) -> None:
        """A node lost power: its pods end at once and nobody is told. Or it came up: they start again."""
        for uid, obj in self._objects.items():
            if obj["spec"]["nodeName"] != node:
                continue
            if on and uid not in self._pods:
                self._begin(obj)
            elif not on and uid in self._pods:
                del self._pods[uid]
                self._tasks[uid].cancel()

    def clean(self) -> None:
        """Remove what pods left on disk that were deleted while no kubelet ran."""
        pods = self._runtime.root / "pods"
        for folder in pods.iterdir() if pods.is_dir() else []:
            if folder.name not in self._objects:
                shutil.rmtree(folder, ignore_errors=True)

    async def close(self) -> None:
        """End every process."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _begin(self, obj: Object) -> None:
        metadata = obj["metadata"]
        uid, name = metadata["uid"], f"pod {metadata['namespace']}/{metadata['name']}"
        former = self._tasks.get(uid)
        try:
            pod = Pod(self._runtime, obj)
        except Exception as error:  # the pod stays stored: raised, it would end every kubelet to come
            log.exception("%s cannot be read, so it fails", name)
            if former:
                former.cancel()
            self._tasks[uid] = asyncio.create_task(self._reject(obj, one_line(error)), name=name)
        else:
            self._pods[uid] = pod
            self._tasks[uid] = asyncio.create_task(self._live(pod, former), name=name)

    def _end(self, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        self._objects.pop(uid, None)
        self._pods.pop(uid, None)

        def removed(_: asyncio.Task[None] | None = None) -> None:
            self._tasks.pop(uid, None)
            self._runtime.addresses.release(uid)
            shutil.rmtree(self._runtime.folder_of(obj), ignore_errors=True)

        if uid in self._tasks:
            self._tasks[uid].cancel()
            self._tasks[uid].add_done_callback(removed)
        else:
            removed()

    async def _reject(self, obj: Object, reason: str) -> None:
        """Tell the API server that this version of a pod will never run; if it is deleted, that it has gone."""
        status = {
            "phase": "Failed",
            "reason": "UnexpectedAdmissionError",
            "message": f"Pod was rejected: the kubelet cannot read it: {reason}",
            "conditions": [],
        }
        reporter = Reporter(self._runtime.kube, obj, lambda: status)
        await reporter.flush()
        if obj["metadata"].get("deletionTimestamp"):
            await reporter.remove()

    async def _live(self, pod: Pod, former: asyncio.Task[None] | None) -> None:
        if former:  # the same pod before a power cut that was over at once
            await asyncio.wait([former])
        try:
            await pod.run()
        except Exception:
            log.exception("pod %s ended on this kubelet by a defect of the lab", pod.object["metadata"]["name"])
