"""Brings the seed into a cluster through its public API, once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from lab.kube import ApiError, Kube
from lab.seed.cluster import load
from lab.seed.objects import Object, objects, places
from lab.seed.templates import words

MANAGER = "lab-seed"
MARKER = ("kube-system", "infra-ops-lab-seed")
CONCURRENT_REQUESTS = 8


async def seed_places(kubeconfig: Path) -> None:
    """Applies the seed's namespaces and Services, unless an earlier start finished the seed. See `seed`."""
    async with Kube(kubeconfig) as kube:
        if await _finished(kube):
            return
        wanted = list(places(load()))
        await _apply(kube, [item for item in wanted if item["kind"] == "Namespace"])
        await _apply(kube, [item for item in wanted if item["kind"] == "Service"])


async def seed(kubeconfig: Path, passwords: Mapping[str, str], addresses: Mapping[str, str]) -> None:
    """Applies the rest of the seed unless an earlier start finished it, so that what runbooks changed stays changed.

    A start that was killed half-way is simply repeated: server-side apply of the same objects changes nothing.
    `passwords` maps the ids of the lab's credentials to their values, `addresses` ports of Services
    (`namespace/name:port`) to where they are. Raises DocumentError, ApiError, or KeyError with the name of what the
    seed asks for and the lab does not have.
    """
    async with Kube(kubeconfig) as kube:
        if await _finished(kube):
            return
        wanted = list(objects(load(), words(passwords, addresses)))
        await _apply(kube, [item for item in wanted if item["kind"] in ("Secret", "ServiceAccount")])
        await _apply(kube, [item for item in wanted if item["kind"] not in ("Secret", "ServiceAccount")])
        await _apply(kube, [_marker()])


async def _finished(kube: Kube) -> bool:
    namespace, name = MARKER
    try:
        await kube.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


async def _apply(kube: Kube, items: list[Object]) -> None:
    gate = asyncio.Semaphore(CONCURRENT_REQUESTS)

    async def one(item: Object) -> None:
        async with gate:
            await kube.apply(item, manager=MANAGER, force=True)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))


def _marker() -> Object:
    namespace, name = MARKER
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {
            "meaning": "The lab's seed was applied whole; delete this to have it applied again at the next start."
        },
    }
