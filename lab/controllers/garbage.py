"""Deletes what has lost its last owner, and carries out foreground and orphan deletions.

kube-controller-manager's garbage collector. The server marks an object that is deleted with a propagation policy by the
finalizers `foregroundDeletion` or `orphan`; this controller does the work and takes the finalizer away.
https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

import asyncio
import enum
import logging
from typing import Any

from lab.controllers import discovery
from lab.controllers.cache import RETRY_SECONDS, look_after_changes
from lab.controllers.discovery import Kind
from lab.controllers.graph import FOREGROUND, ORPHAN, Graph, Item
from lab.controllers.writing import MERGE_PATCH, attempt
from lab.kube import ApiError, Kube

Object = dict[str, Any]

log = logging.getLogger(__name__)

REDISCOVER_SECONDS = 30.0
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_UNOWNED = "events"  # many, short-lived, never owned


class Owner(enum.Enum):
    """What an ownerReference leads to."""

    SOLID = "exists"
    WAITING = "is being deleted and waits for its dependents"
    GONE = "does not exist"


async def run(kube: Kube) -> None:
    """Runs until cancelled."""
    await Collector(kube).run()


class Collector:
    """Watches every kind that can be deleted, and follows new ones."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._graph = Graph()
        self._kinds: dict[tuple[str, str], Kind] = {}  # every served kind, by apiVersion and kind
        self._watches: dict[Kind, asyncio.Task[None]] = {}
        self._unsynced: set[Kind] = set()
        self._changed = asyncio.Event()
        self._definitions_changed = asyncio.Event()
        self._absent: set[str] = set()  # uids that were looked for and not found; uids never come back

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_definitions())
            group.create_task(self._follow_kinds(group))
            await look_after_changes(self._changed, lambda: not self._unsynced, self._look)

    async def _follow_definitions(self) -> None:
        async for _ in self._kube.events(DEFINITIONS):
            self._definitions_changed.set()

    async def _follow_kinds(self, group: asyncio.TaskGroup) -> None:
        """Starts a watch for each kind that is new and ends those of kinds that are no longer served."""
        while True:
            try:
                served = await discovery.kinds(self._kube)
            except (ApiError, ConnectionError) as error:
                log.warning("the server's kinds cannot be read: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._kinds = {(kind.version, kind.name): kind for kind in served}
            wanted = {each for each in served if {"list", "watch", "delete"} <= each.verbs and each.plural != _UNOWNED}
            for kind in wanted - self._watches.keys():
                self._unsynced.add(kind)
                self._watches[kind] = group.create_task(self._watch(kind))
            for kind in self._watches.keys() - wanted:
                self._watches.pop(kind).cancel()
                self._unsynced.discard(kind)
                self._graph.drop_kind(kind)
            try:
                await asyncio.wait_for(self._definitions_changed.wait(), REDISCOVER_SECONDS)
            except TimeoutError:
                continue
            self._definitions_changed.clear()

    async def _watch(self, kind: Kind) -> None:
        while True:
            try:
                async for event, item in self._kube.events(kind.collection):
                    if event == "SYNCED":
                        self._unsynced.discard(kind)
                    elif event == "DELETED":
                        self._graph.drop(item["metadata"]["uid"])
                    else:
                        self._graph.put(Item(kind, item["metadata"]))
                    self._changed.set()
            except ApiError as error:  # a definition that is not served yet, or no longer
                log.debug("%s cannot be watched: %s", kind.collection, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _look(self) -> bool:
        """Does what is due; true when nothing needs another try."""
        done = True
        for item in self._graph:
            if item.lets_dependents_go:
                done = await self._orphan(item) and done
            elif item.waits_for_dependents:
                done = await self._end_after_dependents(item) and done
            elif item.owners and not item.is_ending:
                done = await self._collect(item) and done
        return done

    async def _orphan(self, owner: Item) -> bool:
        for dependent in self._graph.dependents(owner.uid):
            if not await self._drop_owners(dependent, {owner.uid}):
                return False
        return await self._drop_finalizer(owner, ORPHAN)

    async def _end_after_dependents(self, owner: Item) -> bool:
        if any(dependent.blocks(owner.uid) for dependent in self._graph.dependents(owner.uid)):
            return True  # the end of the last one is an event
        return await self._drop_finalizer(owner, FOREGROUND)

    async def _collect(self, item: Item) -> bool:
        """Deletes the item when no owner is left; drops references to lost owners when one is."""
        try:
            states = {owner["uid"]: await self._state(item, owner) for owner in item.owners}
        except LookupError as error:
            log.debug("%s is left alone: %s", item.path, error)
            return True  # a kind that becomes served is an event
        except (ApiError, ConnectionError) as error:
            log.warning("%s is left alone for now: %s", item.path, error)
            return False
        if Owner.SOLID in states.values():
            lost = {uid for uid, state in states.items() if state is not Owner.SOLID}
            return await self._drop_owners(item, lost) if lost else True
        policy = "Background"
        if ORPHAN in item.finalizers:
            policy = "Orphan"
        elif FOREGROUND in item.finalizers or (Owner.WAITING in states.values() and self._graph.dependents(item.uid)):
            policy = "Foreground"
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}
        return await attempt(self._kube.request("DELETE", item.path, body=body | {"preconditions": {"uid": item.uid}}))

    async def _state(self, item: Item, reference: Object) -> Owner:
        """What the reference leads to; the server is asked before an owner counts as gone.

        Raises LookupError for a reference that can lead nowhere: it is kept, as a real collector keeps it.
        """
        owner = self._graph.find(reference["uid"])
        if owner and (not owner.kind.namespaced or owner.namespace == item.namespace):
            return Owner.WAITING if owner.waits_for_dependents else Owner.SOLID
        if reference["uid"] in self._absent:
            return Owner.GONE
        kind = self._kinds.get((reference["apiVersion"], reference["kind"]))
        if kind is None:
            raise LookupError(f"its owner's kind {reference['kind']} in {reference['apiVersion']} is not served")
        if kind.namespaced and not item.kind.namespaced:
            raise LookupError(f"it lies in no namespace, so it cannot be owned by {reference['kind']} objects")
        try:
            found = await self._kube.request("GET", kind.path(item.namespace, reference["name"]))
        except ApiError as error:
            if error.status != 404:
                raise
        else:
            if found["metadata"]["uid"] == reference["uid"]:
                return Owner.SOLID
        self._absent.add(reference["uid"])
        return Owner.GONE

    async def _drop_owners(self, item: Item, lost: set[str]) -> bool:
        kept = [owner for owner in item.owners if owner["uid"] not in lost]
        return await self._patch(item, {"ownerReferences": kept or None})

    async def _drop_finalizer(self, item: Item, finalizer: str) -> bool:
        kept = [each for each in item.finalizers if each != finalizer]
        return await self._patch(item, {"finalizers": kept or None})

    async def _patch(self, item: Item, change: Object) -> bool:
        """Changes the metadata, if they still are as this decision saw them."""
        metadata = {"uid": item.uid, "resourceVersion": item.metadata["resourceVersion"], **change}
        patch = self._kube.request("PATCH", item.path, body={"metadata": metadata}, content_type=MERGE_PATCH)
        return await attempt(patch)
