"""What the workload controllers know of the cluster: their own writes at once, everybody else's by watching."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

REMEMBERED_DELETIONS = 2000


class View:
    """Objects by kind, namespace and name.

    A controller that created a pod must not create it again because the watch is slow, so answers to its own writes
    are put in too; whichever of answer and watch event is older loses.
    """

    def __init__(self) -> None:
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._deleted: deque[str] = deque(maxlen=REMEMBERED_DELETIONS)

    def put(self, item: Object) -> None:
        """Takes in a newer state of an object; ignores an older one and one that is known to be gone."""
        kind = self._objects.setdefault(item["kind"], {})
        known = kind.get(_key(item))
        if item["metadata"]["uid"] in self._deleted or (known and _version(known) > _version(item)):
            return
        kind[_key(item)] = item

    def drop(self, item: Object) -> None:
        """Forgets an object that was deleted."""
        self._deleted.append(item["metadata"]["uid"])
        kind = self._objects.setdefault(item["kind"], {})
        known = kind.get(_key(item))
        if known and known["metadata"]["uid"] == item["metadata"]["uid"]:
            del kind[_key(item)]

    def all(self, kind: str) -> list[Object]:
        return list(self._objects.get(kind, {}).values())

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return self._objects.get(kind, {}).get((namespace, name))

    def owned(self, kind: str, owner: Object) -> Iterator[Object]:
        """The objects of a kind whose controller is `owner`."""
        uid = owner["metadata"]["uid"]
        for item in self._objects.get(kind, {}).values():
            if any(ref["uid"] == uid and ref.get("controller") for ref in item["metadata"].get("ownerReferences", [])):
                yield item


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])
