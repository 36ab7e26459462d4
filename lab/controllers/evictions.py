"""Deletes pods from nodes whose taints they do not bear, or no longer.

kube-controller-manager's taint eviction controller. A pod on a node that is lost stays in the API, deleted but there,
until its kubelet is back or somebody deletes it without grace.
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""

import time
from typing import Any

from lab import times
from lab.controllers.cache import Cache
from lab.controllers.writing import STRATEGIC_PATCH, attempt
from lab.kube import Kube
from lab.taints import tolerates

Object = dict[str, Any]

NODES, PODS = "/api/v1/nodes", "/api/v1/pods"


class Patience:
    """Since when which pod has had to bear its node's taints; as the original, it forgets that when it restarts."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}  # uid -> when the taints were first seen with the pod

    def is_over(self, pod: Object, taints: list[Object], now: float) -> bool:
        """Whether the pod has to go. Without taints its patience starts anew."""
        uid = pod["metadata"]["uid"]
        if not taints:
            self._since.pop(uid, None)
            return False
        borne = bears(pod["spec"].get("tolerations") or [], taints)
        return borne is not None and now - self._since.setdefault(uid, now) >= borne

    def forget_all_but(self, uids: set[str]) -> None:
        """Pods that are gone need none."""
        self._since = {uid: since for uid, since in self._since.items() if uid in uids}


def bears(tolerations: list[Object], taints: list[Object]) -> float | None:
    """For how many seconds all the taints are borne; None for ever."""
    seconds: list[float] = []
    for taint in taints:
        first = next((each for each in tolerations if tolerates(each, taint)), None)  # others do not count
        if first is None:
            return 0.0
        if (limit := first.get("tolerationSeconds")) is not None:
            seconds.append(max(0.0, limit))
    return min(seconds, default=None)


async def run(kube: Kube) -> None:
    """Runs until cancelled."""
    cache = Cache(kube, NODES, PODS)
    patience = Patience()

    async def look() -> bool:
        now = time.monotonic()
        taints = {node["metadata"]["name"]: _evicting(node) for node in cache.all(NODES)}
        pods = [pod for pod in cache.all(PODS) if "deletionTimestamp" not in pod["metadata"]]
        patience.forget_all_but({pod["metadata"]["uid"] for pod in pods})
        for pod in pods:
            if patience.is_over(pod, taints.get(pod["spec"].get("nodeName", ""), []), now):
                await _evict(kube, pod)
        return False  # patience ends by itself: look again even if nothing happens

    await cache.follow(look)


def _evicting(node: Object) -> list[Object]:
    return [taint for taint in node["spec"].get("taints") or [] if taint["effect"] == "NoExecute"]


async def _evict(kube: Kube, pod: Object) -> None:
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": times.seconds(),
    }
    body = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
    if await attempt(kube.request("PATCH", f"{path}/status", body=body, content_type=STRATEGIC_PATCH)):
        await attempt(kube.request("DELETE", path, body={"preconditions": {"uid": metadata["uid"]}}))
