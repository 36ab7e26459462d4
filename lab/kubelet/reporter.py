"""Tells the API server a pod's status, and when the pod has ended on its node."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lab.kube import ApiError, Kube, Object

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


class Reporter:
    """Keeps the server's status of one pod equal to what `status` returns."""

    def __init__(self, kube: Kube, pod: Object, status: Callable[[], Object]) -> None:
        self._kube = kube
        self._path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        self._uid = pod["metadata"]["uid"]
        self._known: Object = pod.get("status") or {}
        self._status = status
        self._changed = asyncio.Event()
        self._sending = asyncio.Lock()

    def changed(self) -> None:
        """The status has changed; changes that come quickly are told together."""
        self._changed.set()

    async def run(self) -> None:
        """For ever: tell what changed."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.flush()

    async def flush(self) -> None:
        """Until the server knows the present status. An unreachable server is waited for."""
        async with self._sending:
            while not _says(self._known, status := self._status()):
                body: Object = {"metadata": {"uid": self._uid}, "status": status}
                if await self._ask("PATCH", f"{self._path}/status", body, "application/strategic-merge-patch+json"):
                    self._known = status

    async def remove(self) -> None:
        """Delete the pod, whose containers have all ended, from the server."""
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self._uid},
        }
        while not await self._ask("DELETE", self._path, body, "application/json"):
            log.debug("%s is not removed yet", self._path)

    async def _ask(self, method: str, path: str, body: Object, content_type: str) -> bool:
        """Whether the server took it, or needs it no more because the pod is gone; waits a little when it did not."""
        try:
            await self._kube.request(method, path, body=body, content_type=content_type)
        except ApiError as error:
            if error.status in (404, 409):  # gone, or another pod has its name now
                return True
            log.warning("%s %s: %s", method, path, error)
        except ConnectionError as error:
            log.debug("%s %s: %s", method, path, error)
        else:
            return True
        await asyncio.sleep(_RETRY_SECONDS)
        return False


def _says(known: Object, status: Object) -> bool:
    """Whether a status already contains another one; conditions are compared one by one, whatever else is there."""
    conditions = {condition["type"]: condition for condition in known.get("conditions") or []}
    for condition in status["conditions"]:
        same = conditions.get(condition["type"], {})
        if any(same.get(name) != value for name, value in condition.items()):
            return False
    return all(known.get(name) == value for name, value in status.items() if name != "conditions")
