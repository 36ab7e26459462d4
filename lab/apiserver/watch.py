"""Answering watch requests: the events that a client has not seen, one JSON object a line, as they happen."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, NamedTuple

from lab.apiserver import errors, lists, selectors
from lab.apiserver.errors import ApiError
from lab.apiserver.registry import Registry, view
from lab.apiserver.requests import flag
from lab.apiserver.resources import Resource
from lab.apiserver.selectors import Matcher
from lab.apiserver.storage import Compacted, Entry, Event, Unreadable, Watcher

Object = dict[str, Any]

BOOKMARK_SECONDS = 60.0
LONGEST_SECONDS = (1800.0, 3600.0)  # a real server ends a watch without a timeout after 30 to 60 minutes
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Notice(NamedTuple):
    """One line of a watch: ADDED, MODIFIED, DELETED with an entry; BOOKMARK or ERROR with an object."""

    kind: str
    entry: Entry | None = None
    obj: Object | None = None


def start(
    registry: Registry, resource: Resource, namespace: str, query: Mapping[str, str]
) -> AsyncGenerator[Notice, None]:
    """All that the client of a watch is to hear, until its time is over.

    Raises ApiError at once for a request that cannot be answered; a resourceVersion that is forgotten is told by an
    ERROR notice with code 410, as a real server does.
    """
    matches = selectors.selector(resource, query)
    asked = _check(query)
    revision = registry.store.revision
    if asked > revision:
        raise errors.too_large_resource_version(asked, revision)
    initial = flag(query, "sendInitialEvents") or ("sendInitialEvents" not in query and not asked)
    prefix = resource.key(namespace, "")
    try:
        present = registry.store.scan(prefix) if initial else []
    except Unreadable as error:
        raise errors.internal(str(error)) from None
    known = [entry for entry in present if matches(view(entry, resource))]
    after = revision if initial or not asked else asked
    return _notices(registry, resource, prefix, query, matches, known, after)


async def _notices(
    registry: Registry,
    resource: Resource,
    prefix: str,
    query: Mapping[str, str],
    matches: Matcher,
    known: list[Entry],
    after: int,
) -> AsyncGenerator[Notice, None]:
    deadline = _deadline(query)
    bookmarks = flag(query, "allowWatchBookmarks")
    try:
        watcher = registry.store.watch(prefix, after)
    except Compacted as error:
        yield Notice("ERROR", obj=errors.expired(str(error)).status)
        return
    try:
        for entry in known:
            yield Notice("ADDED", entry)
        if bookmarks and flag(query, "sendInitialEvents"):
            yield _bookmark(resource, after, {"annotations": {INITIAL_EVENTS_END: "true"}})
        async for notice in _follow(registry, resource, watcher, matches, deadline, bookmarks):
            yield notice
    finally:
        registry.store.release(watcher)


async def _follow(
    registry: Registry, resource: Resource, watcher: Watcher, matches: Matcher, deadline: float, bookmarks: bool
) -> AsyncIterator[Notice]:
    next_bookmark = time.monotonic() + BOOKMARK_SECONDS if bookmarks else deadline
    while True:
        wait = min(deadline, next_bookmark) - time.monotonic()
        try:
            async with asyncio.timeout(max(wait, 0)):
                event = await watcher.next()
        except TimeoutError:
            if time.monotonic() >= deadline:
                return
            # Nothing is queued, so the client has seen everything up to the present revision.
            yield _bookmark(resource, registry.store.revision, {})
            next_bookmark = time.monotonic() + BOOKMARK_SECONDS
            continue
        except Unreadable as error:
            yield Notice("ERROR", obj=errors.internal(str(error)).status)
            return
        if event is None:
            return
        try:
            notice = _notice(event, resource, matches)
        except ApiError as error:
            yield Notice("ERROR", obj=error.status)
            return
        if notice:
            yield notice


def _notice(event: Event, resource: Resource, matches: Matcher) -> Notice | None:
    """What an event is to a client that sees only matching objects: they appear and vanish by their labels."""
    before = event.old is not None and matches(view(event.old, resource))
    after = not event.deleted and matches(view(event.new, resource))
    if after:
        return Notice("MODIFIED" if before else "ADDED", event.new)
    return Notice("DELETED", _last_seen(event)) if before else None


def _last_seen(event: Event) -> Entry:
    """An object that left the selection is shown as it last matched, at the revision of the change."""
    if event.deleted or event.old is None:
        return event.new
    own = {**event.old.value["metadata"], "resourceVersion": str(event.revision)}
    return Entry(event.new.key, event.revision, event.new.created, {**event.old.value, "metadata": own})


def _bookmark(resource: Resource, revision: int, more: Object) -> Notice:
    obj = {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {"resourceVersion": str(revision), "creationTimestamp": None, **more},
    }
    return Notice("BOOKMARK", obj=obj)


def _deadline(query: Mapping[str, str]) -> float:
    seconds: float = lists.number(query, "timeoutSeconds") or random.uniform(*LONGEST_SECONDS)  # noqa: S311
    return time.monotonic() + seconds


def _check(query: Mapping[str, str]) -> int:
    """Refuse contradicting parameters; return the resourceVersion."""
    causes = []
    match = query.get("resourceVersionMatch", "")
    if match and "sendInitialEvents" not in query:
        text = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(("resourceVersionMatch", text))
    if "sendInitialEvents" in query and match != "NotOlderThan":
        text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(("resourceVersionMatch", text))
    if query.get("continue"):
        causes.append(("continue", "Forbidden: continue is forbidden for watch"))
    if causes:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", causes)
    return lists.resource_version(query)
