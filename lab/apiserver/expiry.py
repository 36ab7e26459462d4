"""Events are forgotten after an hour (kube-apiserver's --event-ttl)."""

from __future__ import annotations

import asyncio
import datetime

from lab.apiserver.registry import Registry

EVENTS = ("", "events")
KEPT = datetime.timedelta(hours=1)
EVERY_SECONDS = 60.0


async def expire_events(registry: Registry) -> None:
    """Remove what is too old, once a minute, for ever."""
    while True:
        forget(registry, datetime.datetime.now(datetime.UTC) - KEPT)
        await asyncio.sleep(EVERY_SECONDS)


def forget(registry: Registry, before: datetime.datetime) -> None:
    """Remove the events that nobody has written since ``before``."""
    resource = registry.resource(*EVENTS)
    for event in registry.list(resource):
        own = event["metadata"]
        last = event.get("lastTimestamp") or own["creationTimestamp"]
        if datetime.datetime.fromisoformat(last) < before:
            registry.store.delete(resource.key(own["namespace"], own["name"]))
