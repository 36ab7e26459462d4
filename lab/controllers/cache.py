"""The current objects of some collections, and a loop that looks at them whenever they changed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lab.kube import Kube

Object = dict[str, Any]

SETTLE_SECONDS = 0.05  # changes come in bursts; one look a burst is enough
RETRY_SECONDS = 1.0


class Cache:
    """Objects by the path of their collection, then by namespace and name."""

    def __init__(self, kube: Kube, *paths: str) -> None:
        self._kube = kube
        self._objects: dict[str, dict[tuple[str, str], Object]] = {path: {} for path in paths}
        self._unsynced = set(paths)
        self._changed = asyncio.Event()

    def all(self, path: str) -> list[Object]:
        return list(self._objects[path].values())

    def get(self, path: str, namespace: str, name: str) -> Object | None:
        return self._objects[path].get((namespace, name))

    async def follow(self, look: Callable[[], Awaitable[bool]]) -> None:
        """Calls `look` after every change, for ever; again after a while when it says that it is not done."""
        async with asyncio.TaskGroup() as group:
            for path in self._objects:
                group.create_task(self._watch(path))
            await look_after_changes(self._changed, lambda: not self._unsynced, look)

    async def _watch(self, path: str) -> None:
        async for event, item in self._kube.events(path):
            if event == "SYNCED":
                self._unsynced.discard(path)
            else:
                key = (item["metadata"].get("namespace", ""), item["metadata"]["name"])
                if event == "DELETED":
                    self._objects[path].pop(key, None)
                else:
                    self._objects[path][key] = item
            self._changed.set()


async def look_after_changes(
    changed: asyncio.Event, is_ready: Callable[[], bool], look: Callable[[], Awaitable[bool]]
) -> None:
    """Calls `look` whenever something `changed`, for ever; again after a while when it says that it is not done."""
    again: asyncio.TimerHandle | None = None
    while True:
        await changed.wait()
        await asyncio.sleep(SETTLE_SECONDS)
        changed.clear()
        if again:
            again.cancel()
        if is_ready() and not await look():
            again = asyncio.get_running_loop().call_later(RETRY_SECONDS, changed.set)
