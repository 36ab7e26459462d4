"""Answering list requests: selectors, pages of one consistent state, and what a resourceVersion asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.apiserver import continuation, errors, selectors
from lab.apiserver.continuation import LATEST, Position
from lab.apiserver.registry import Registry, view
from lab.apiserver.resources import Resource
from lab.apiserver.storage import Compacted, Entry, Unreadable

TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
MATCHES = ("Exact", "NotOlderThan")


@dataclass(frozen=True)
class Page:
    """Some entries of a list, the revision that they show, and where the next page starts ("" at the end)."""

    entries: list[Entry]
    revision: int
    continues: str = ""
    remaining: int | None = None


def read(registry: Registry, resource: Resource, namespace: str, query: Mapping[str, str]) -> Page:
    """The page of a list that ``query`` asks for.

    Raises ApiError: 400 and 422 for contradicting parameters, 410 for a revision that is forgotten, 504 for one that
    has not come yet.
    """
    matches = selectors.selector(resource, query)
    limit = number(query, "limit")
    store = registry.store
    prefix = resource.key(namespace, "")
    start = ""
    revision = _revision(query, store.revision)
    token = query.get("continue", "")
    if token:
        if query.get("resourceVersion") not in (None, "", "0"):
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        asked, start = continuation.decode(token)
        revision = store.revision if asked == LATEST else asked
    try:
        entries = store.scan(prefix) if revision == store.revision else store.scan_at(prefix, revision)
    except Compacted as error:
        if token:
            raise errors.expired(TOO_OLD, **{"continue": continuation.encode(Position(LATEST, start))}) from None
        raise errors.expired(f"The resourceVersion for the provided list is too old: {error}") from None
    except Unreadable as error:
        raise errors.internal(str(error)) from None
    selected = [entry for entry in entries if entry.key[len(prefix) :] >= start and matches(view(entry, resource))]
    if not limit or len(selected) <= limit:
        return Page(selected, revision)
    following = Position(revision, selected[limit - 1].key[len(prefix) :] + "\0")
    narrowed = query.get("labelSelector") or query.get("fieldSelector")
    remaining = None if narrowed else len(selected) - limit
    return Page(selected[:limit], revision, continuation.encode(following), remaining)


def number(query: Mapping[str, str], name: str) -> int:
    """A count of the query, 0 when it is absent. Raises ApiError 400."""
    text = query.get(name) or "0"
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def resource_version(query: Mapping[str, str]) -> int:
    """The resourceVersion of the query; 0, which means any, when it is absent. Raises ApiError 422."""
    text = query.get("resourceVersion") or "0"
    if not text.isdigit():
        cause = ("resourceVersion", f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
        raise errors.invalid("meta.k8s.io", "ListOptions", "", [cause])
    return int(text)


def _revision(query: Mapping[str, str], current: int) -> int:
    """The revision that a list without a continue token shows."""
    match = query.get("resourceVersionMatch", "")
    asked = resource_version(query)
    causes = []
    if match and match not in MATCHES:
        supported = ", ".join(f'"{name}"' for name in (*MATCHES, ""))
        causes.append(("resourceVersionMatch", f'Unsupported value: "{match}": supported values: {supported}'))
    if match and not query.get("resourceVersion"):
        text = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(("resourceVersionMatch", text))
    if match and query.get("continue"):
        text = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
        causes.append(("resourceVersionMatch", text))
    if match == "Exact" and query.get("resourceVersion") == "0":
        text = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append(("resourceVersionMatch", text))
    if "sendInitialEvents" in query:
        causes.append(("sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list"))
    if causes:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", causes)
    if asked > current:
        raise errors.too_large_resource_version(asked, current)
    exact = match == "Exact" or (not match and asked and number(query, "limit"))
    return asked if exact else current
