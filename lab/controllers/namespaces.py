"""Empties a namespace that is being deleted, in all its kinds, and then lets it go.

kube-controller-manager's namespace controller. The server has marked the namespace (deletionTimestamp, phase
Terminating) and keeps it until the finalizer `kubernetes` is taken away through its `finalize` subresource.
"""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lab import times
from lab.controllers.discovery import Kind, kinds
from lab.controllers.writing import STRATEGIC_PATCH, attempt
from lab.kube import ApiError, Kube

Object = dict[str, Any]

log = logging.getLogger(__name__)

FINALIZER = "kubernetes"
LOOK_AGAIN_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)


@dataclass
class Remains:
    """What is left in a namespace: objects by kind (`deployments.apps`), and those held by each finalizer."""

    kinds: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)


async def run(kube: Kube) -> None:
    """Runs until cancelled."""
    emptying: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        async for event, namespace in kube.events("/api/v1/namespaces"):
            if event in ("ADDED", "MODIFIED") and _is_ours(namespace):
                uid = namespace["metadata"]["uid"]
                if uid not in emptying:
                    emptying[uid] = group.create_task(_empty(kube, namespace["metadata"]["name"], uid))
            elif event == "DELETED":
                emptying.pop(namespace["metadata"]["uid"], None)


def _is_ours(namespace: Object) -> bool:
    return bool(namespace["metadata"].get("deletionTimestamp")) and FINALIZER in _finalizers(namespace)


def _finalizers(namespace: Object) -> list[str]:
    return namespace.get("spec", {}).get("finalizers") or []


async def _empty(kube: Kube, name: str, uid: str) -> None:
    """Works on one namespace until it is empty and finalized."""
    rounds = 0
    while True:
        try:
            namespace = await _find(kube, name)
            if namespace is None or namespace["metadata"]["uid"] != uid or not _is_ours(namespace):
                return
            remains = await _delete_contents(kube, name)
            if not remains.kinds:
                namespace["spec"]["finalizers"] = [each for each in _finalizers(namespace) if each != FINALIZER]
                await kube.request("PUT", f"/api/v1/namespaces/{name}/finalize", body=namespace)
                return
            await _explain(kube, namespace, remains)
        except ApiError as error:
            if error.status not in (404, 409):  # a kind that vanished meanwhile, or somebody else's write
                log.warning("namespace %s cannot be emptied yet: %s", name, error)
        except ConnectionError as error:
            log.warning("namespace %s cannot be emptied yet: %s", name, error)
        await asyncio.sleep(LOOK_AGAIN_SECONDS[min(rounds, len(LOOK_AGAIN_SECONDS) - 1)])
        rounds += 1


async def _find(kube: Kube, name: str) -> Object | None:
    try:
        return await kube.request("GET", f"/api/v1/namespaces/{name}")
    except ApiError as error:
        if error.status == 404:
            return None
        raise


async def _delete_contents(kube: Kube, namespace: str) -> Remains:
    """Asks for the deletion of everything; what is there still. Raises ApiError when a kind cannot be read."""
    remains = Remains()
    for kind in await kinds(kube):
        if kind.namespaced and {"list", "delete"} <= kind.verbs:
            path = kind.path(namespace)
            if await kube.list(path):
                await _delete_all(kube, kind, namespace)
                left = await kube.list(path)
                _count(remains, kind, left)
    return remains


async def _delete_all(kube: Kube, kind: Kind, namespace: str) -> None:
    background = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    if "deletecollection" in kind.verbs:
        await kube.request("DELETE", kind.path(namespace), body=background)
        return
    for item in await kube.list(kind.path(namespace)):
        await attempt(kube.request("DELETE", kind.path(namespace, item["metadata"]["name"]), body=background))


def _count(remains: Remains, kind: Kind, items: list[Object]) -> None:
    group, _, _ = kind.version.rpartition("/")
    if items:
        remains.kinds[f"{kind.plural}.{group}"] += len(items)
    for item in items:
        remains.finalizers.update(item["metadata"].get("finalizers") or [])


async def _explain(kube: Kube, namespace: Object, remains: Remains) -> None:
    """Says in the namespace's conditions what it waits for, as `kubectl describe namespace` shows it."""
    content = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(remains.kinds.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(remains.finalizers.items()))
    wanted = [_condition("NamespaceContentRemaining", "SomeResourcesRemain", "Some resources are remaining: ", content)]
    if held:
        prefix = "Some content in the namespace has finalizers remaining: "
        wanted.append(_condition("NamespaceFinalizersRemaining", "SomeFinalizersRemain", prefix, held))
    present = {each["type"]: each.get("message") for each in namespace.get("status", {}).get("conditions") or []}
    changed = [each for each in wanted if present.get(each["type"]) != each["message"]]
    if changed:
        path = f"/api/v1/namespaces/{namespace['metadata']['name']}/status"
        body = {"metadata": {"uid": namespace["metadata"]["uid"]}, "status": {"conditions": changed}}
        await kube.request("PATCH", path, body=body, content_type=STRATEGIC_PATCH)


def _condition(kind: str, reason: str, prefix: str, text: str) -> Object:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": prefix + text,
        "lastTransitionTime": times.seconds(),
    }
