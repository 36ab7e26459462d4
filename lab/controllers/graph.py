"""Who owns whom: the ownerReferences of all objects as a graph."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lab.controllers.discovery import Kind

Object = dict[str, Any]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True)
class Item:
    """One object, as far as ownership is concerned."""

    kind: Kind
    metadata: Object = field(compare=False)

    @property
    def uid(self) -> str:
        return str(self.metadata["uid"])

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.metadata["name"])

    @property
    def owners(self) -> list[Object]:
        return self.metadata.get("ownerReferences") or []

    @property
    def finalizers(self) -> list[str]:
        return self.metadata.get("finalizers") or []

    @property
    def is_ending(self) -> bool:
        return "deletionTimestamp" in self.metadata

    @property
    def waits_for_dependents(self) -> bool:
        return self.is_ending and FOREGROUND in self.finalizers

    @property
    def lets_dependents_go(self) -> bool:
        return self.is_ending and ORPHAN in self.finalizers

    def blocks(self, owner_uid: str) -> bool:
        """Whether that owner, deleted in the foreground, must wait for this one."""
        return any(each["uid"] == owner_uid and each.get("blockOwnerDeletion") for each in self.owners)


class Graph:
    """All known items, by uid and by owner."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, set[str]] = defaultdict(set)

    def __iter__(self) -> Iterator[Item]:
        return iter(list(self._items.values()))

    def find(self, uid: str) -> Item | None:
        return self._items.get(uid)

    def put(self, item: Item) -> None:
        self.drop(item.uid)
        self._items[item.uid] = item
        for owner in item.owners:
            self._dependents[owner["uid"]].add(item.uid)

    def drop(self, uid: str) -> None:
        old = self._items.pop(uid, None)
        for owner in old.owners if old else []:
            self._dependents[owner["uid"]].discard(uid)

    def drop_kind(self, kind: Kind) -> None:
        for item in self:
            if item.kind == kind:
                self.drop(item.uid)

    def dependents(self, uid: str) -> list[Item]:
        return [self._items[each] for each in self._dependents.get(uid, ())]
