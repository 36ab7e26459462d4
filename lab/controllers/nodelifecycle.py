"""Marks nodes that stopped sending heartbeats, and takes the mark away when they are back.

kube-controller-manager's node lifecycle controller. A heartbeat is any change of the node's Lease or
of its Ready condition; its age is counted from when it was seen here, so clocks need not agree.
https://kubernetes.io/docs/reference/node/node-status/#heartbeats
"""

import time
from collections.abc import Iterator
from typing import Any

from lab import times
from lab.controllers.cache import Cache
from lab.controllers.writing import MERGE_PATCH, STRATEGIC_PATCH, attempt
from lab.kube import ApiError, Kube

Object = dict[str, Any]

NODES, LEASES, PODS = "/api/v1/nodes", "/apis/coordination.k8s.io/v1/leases", "/api/v1/pods"
UNREACHABLE, NOT_READY = "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"
CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class Heartbeats:
    """When which node was last heard of."""

    def __init__(self, grace: float) -> None:
        self._grace = grace  # seconds
        self._seen: dict[str, tuple[str, float]] = {}  # uid -> heartbeat, when it was first seen
        self._restarted = 0.0

    def is_silent(self, node: Object, lease: Object | None, now: float) -> bool:
        """Whether the newest heartbeat was first seen longer ago than the grace period."""
        beat = f"{(lease or {}).get('spec', {}).get('renewTime')} {_condition(node, 'Ready').get('lastHeartbeatTime')}"
        uid = node["metadata"]["uid"]
        if uid not in self._seen or self._seen[uid][0] != beat:
            self._seen[uid] = beat, now
        return now - max(self._seen[uid][1], self._restarted) > self._grace

    def restart(self, now: float) -> None:
        """Gives every node its full grace period again."""
        self._restarted = now


async def run(kube: Kube, grace: float) -> None:
    """Runs until cancelled. `grace`: seconds without heartbeat after which a node counts as unreachable."""
    cache = Cache(kube, NODES, LEASES, PODS)
    heartbeats = Heartbeats(grace)

    async def look() -> bool:
        try:
            await kube.request("GET", "/version")
        except (ApiError, ConnectionError):
            # Nobody's heartbeats arrive while the server is away, so that time counts for nobody.
            heartbeats.restart(time.monotonic())
            return False
        for node in cache.all(NODES):
            await _judge(kube, cache, heartbeats, node)
        return False  # silence is no event: look again even if nothing happens

    await cache.follow(look)


async def _judge(kube: Kube, cache: Cache, heartbeats: Heartbeats, node: Object) -> None:
    name = node["metadata"]["name"]
    if heartbeats.is_silent(node, cache.get(LEASES, "kube-node-lease", name), time.monotonic()):
        # The watch may lag behind after an outage, so ask before blaming.
        try:
            fresh = await kube.request("GET", f"{NODES}/{name}"), await _lease(kube, name)
        except (ApiError, ConnectionError):
            return  # gone, or not to be judged now
        if not heartbeats.is_silent(*fresh, time.monotonic()):
            return
        await _mark_unknown(kube, node)
        for pod in cache.all(PODS):
            if pod["spec"].get("nodeName") == name:
                await _mark_not_ready(kube, pod)
    await _correct_taints(kube, node)


async def _lease(kube: Kube, node: str) -> Object | None:
    try:
        return await kube.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}")
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def _condition(item: Object, kind: str) -> Object:
    conditions: list[Object] = item.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


async def _mark_unknown(kube: Kube, node: Object) -> None:
    known = [kind for kind in CONDITIONS if kind == "Ready" or _condition(node, kind)]
    stale = [kind for kind in known if _condition(node, kind).get("status") != "Unknown"]
    if stale:
        unknown = {"status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": times.seconds()}
        unknown["message"] = "Kubelet stopped posting node status."
        body = {"status": {"conditions": [{"type": kind, **unknown} for kind in stale]}}
        path = f"{NODES}/{node['metadata']['name']}/status"
        await attempt(kube.request("PATCH", path, body=body, content_type=STRATEGIC_PATCH))


async def _mark_not_ready(kube: Kube, pod: Object) -> None:
    """So that workloads and services stop counting on a pod that nobody can see."""
    if _condition(pod, "Ready").get("status") == "True":
        metadata = pod["metadata"]
        condition = {
            "type": "Ready",
            "status": "False",
            "reason": "NodeNotReady",
            "lastTransitionTime": times.seconds(),
        }
        body = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        await attempt(kube.request("PATCH", path, body=body, content_type=STRATEGIC_PATCH))


def _wanted_taints(node: Object) -> Iterator[tuple[str, str]]:
    """Key and effect of the taints that the Ready condition asks for."""
    key = {"Unknown": UNREACHABLE, "False": NOT_READY}.get(_condition(node, "Ready").get("status", ""))
    if key:
        yield key, "NoSchedule"
        yield key, "NoExecute"


async def _correct_taints(kube: Kube, node: Object) -> None:
    present: list[Object] = node.get("spec", {}).get("taints") or []
    ours = {(each["key"], each["effect"]) for each in present if each["key"] in (UNREACHABLE, NOT_READY)}
    wanted = set(_wanted_taints(node))
    if ours == wanted:
        return
    kept = [each for each in present if (each["key"], each["effect"]) not in ours - wanted]
    added = [{"key": key, "effect": effect, "timeAdded": times.seconds()} for key, effect in sorted(wanted - ours)]
    metadata = {"resourceVersion": node["metadata"]["resourceVersion"]}
    body = {"metadata": metadata, "spec": {"taints": [*kept, *added] or None}}
    await attempt(kube.request("PATCH", f"{NODES}/{node['metadata']['name']}", body=body, content_type=MERGE_PATCH))
