"""Events are kept for an hour."""

from __future__ import annotations

import datetime
from pathlib import Path

from lab.apiserver.encryption import Encryption
from lab.apiserver.expiry import KEPT, forget
from lab.apiserver.registry import Registry, timestamp
from lab.apiserver.resources import builtin
from lab.apiserver.schemas import Schemas
from lab.apiserver.storage import Store


def test_events_that_nobody_repeats_are_forgotten(tmp_path: Path) -> None:
    """The last time that an event happened counts, not the first."""
    store = Store(tmp_path, Encryption())
    registry = Registry(store, builtin(), Schemas())
    registry.create(registry.resource("", "namespaces"), "", {"metadata": {"name": "n"}})
    events = registry.resource("", "events")
    now = datetime.datetime.now(datetime.UTC)
    for name, age in (("old", KEPT * 2), ("repeated", KEPT / 2)):
        body = {"metadata": {"name": name}, "involvedObject": {}, "lastTimestamp": timestamp(now - age)}
        registry.create(events, "n", body)
    registry.create(events, "n", {"metadata": {"name": "fresh"}, "involvedObject": {}})
    forget(registry, now - KEPT)
    assert [item["metadata"]["name"] for item in registry.list(events)] == ["fresh", "repeated"]
    store.close()
