"""Keeps the view of workloads up to date and carries out the writes that the kinds find due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from lab.controllers.workloads import daemonsets, deployments, replicasets, statefulsets
from lab.controllers.workloads.view import View
from lab.controllers.workloads.writes import Create, Delete, Patch, Write
from lab.kube import ApiError, Kube

log = logging.getLogger(__name__)

WATCHED = {
    "Deployment": "/apis/apps/v1/deployments",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "Pod": "/api/v1/pods",
    "Node": "/api/v1/nodes",
    "PersistentVolumeClaim": "/api/v1/persistentvolumeclaims",
}
PLURALS = {kind: path.rpartition("/")[2] for kind, path in WATCHED.items()}
KINDS: tuple[Callable[[View], Iterator[Write]], ...] = (
    deployments.due,
    replicasets.due,
    statefulsets.due,
    daemonsets.due,
)
SETTLE_SECONDS = 0.05  # changes come in bursts; looking once a burst is enough
RETRY_SECONDS = 1.0
CONCURRENT_WRITES = 16


async def run(kube: Kube) -> None:
    """Runs until cancelled. Level-triggered: every look starts from what is, so a missed event costs nothing."""
    view, changed = View(), asyncio.Event()
    synced = {kind: asyncio.Event() for kind in WATCHED}
    async with asyncio.TaskGroup() as group:
        for kind in WATCHED:
            group.create_task(_watch(kube, kind, view, changed, synced[kind]))
        for event in synced.values():
            await event.wait()
        while True:
            changed.clear()
            if not await _reconcile(kube, view):
                # A refused write leaves no event behind, so look again without one.
                asyncio.get_running_loop().call_later(RETRY_SECONDS, changed.set)
            await changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)


async def _watch(kube: Kube, kind: str, view: View, changed: asyncio.Event, synced: asyncio.Event) -> None:
    async for event, item in kube.events(WATCHED[kind]):
        if event == "SYNCED":
            synced.set()
        elif event == "DELETED":
            view.drop({"kind": kind, **item})
        else:
            view.put({"kind": kind, **item})
        changed.set()


async def _reconcile(kube: Kube, view: View) -> bool:
    """Does everything that is due now; true when every write was taken."""
    gate = asyncio.Semaphore(CONCURRENT_WRITES)

    async def one(write: Write) -> bool:
        async with gate:
            return await _write(kube, view, write)

    return all(await asyncio.gather(*(one(write) for kind in KINDS for write in kind(view))))


async def _write(kube: Kube, view: View, write: Write) -> bool:
    try:
        match write:
            case Create(item):
                answer = await kube.request("POST", _collection(item), body=item)
            case Delete(item):
                precondition = {"preconditions": {"uid": item["metadata"]["uid"]}}
                answer = await kube.request("DELETE", _path(item), body=precondition)
            case Patch(item, patch, subresource):
                path = _path(item) + (f"/{subresource}" if subresource else "")
                answer = await kube.request("PATCH", path, body=patch, content_type="application/merge-patch+json")
    except ApiError as error:
        if error.reason in ("AlreadyExists", "NotFound", "Conflict"):
            return True  # somebody was faster, and the watch brings what they did
        log.warning("%s", error)
        return False
    except ConnectionError as error:
        log.warning("%s", error)
        return False
    if answer.get("kind") in WATCHED:
        view.put(answer)
    else:
        view.drop(write.item)  # a Status answers a delete that took effect at once
    return True


def _collection(item: dict[str, object]) -> str:
    version, kind = str(item["apiVersion"]), str(item["kind"])
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{metadata['namespace']}/{PLURALS[kind]}"


def _path(item: dict[str, object]) -> str:
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    return f"{_collection(item)}/{metadata['name']}"
