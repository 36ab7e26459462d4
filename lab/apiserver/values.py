"""What lies in the store, and what a server makes of it with its keys."""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lab.apiserver.encryption import Encryption, Keyring
from lab.apiserver.providers import DecodeError

Object = dict[str, Any]

# The keys of the server through which the present request came; the store's own outside of requests. All servers share
# one store, and each reads and writes it with its own keys, as kube-apiservers do over one etcd.
through: ContextVar[Keyring | None] = ContextVar("through", default=None)

_PLAIN = b"{"  # what every value that is stored plainly begins with


class Unreadable(Exception):
    """A stored value cannot be decrypted."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f'unable to transform key "{key}": {reason}')
        self.key, self.reason = key, reason


@dataclass(frozen=True)
class Entry:
    """One object at one revision. Its value is shared: never change it, copy it."""

    key: str
    revision: int
    created: int
    value: Object
    stale: bool = False  # stored with another encryption provider than today's first

    @cached_property
    def body(self) -> bytes:
        """The object's JSON without its apiVersion and kind and without the opening brace, encoded once."""
        fields = {key: value for key, value in self.value.items() if key not in ("apiVersion", "kind")}
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()[1:]


@dataclass(frozen=True, eq=False)
class Value:
    """What lies at a key since a revision: ``stored`` are its bytes, or ``plain`` is the object if nothing hides it."""

    key: str
    revision: int
    created: int
    plain: Entry | None = None
    stored: bytes = _PLAIN
    seen: dict[Encryption, Entry | str] = field(default_factory=dict)  # what was made of it, or why that failed

    def read(self, encryption: Encryption) -> Entry:
        """The object, as a server with these keys sees it. Raises Unreadable."""
        if self.plain and not encryption.covers(self.key):
            return self.plain
        if encryption not in self.seen:
            self.seen[encryption] = self._decode(encryption)
        found = self.seen[encryption]
        if isinstance(found, str):
            raise Unreadable(self.key, found)
        return found

    def _decode(self, encryption: Encryption) -> Entry | str:
        try:
            decoded, stale = encryption.decode(self.key, self.stored)
            if self.plain:
                return replace(self.plain, stale=stale)
            value = json.loads(decoded)
            value["metadata"]["resourceVersion"] = str(self.revision)
        except DecodeError as error:
            return str(error)
        except (ValueError, KeyError, TypeError):  # a wrong key of the right name gives noise
            return "the stored value is not an object in JSON"
        return Entry(self.key, self.revision, self.created, value, stale)

    def at_its_end(self, revision: int) -> Value:
        """The same, as the event of its deletion at ``revision`` shows it."""
        if self.plain is None:
            return Value(self.key, revision, self.created, stored=self.stored)
        own = {**self.plain.value["metadata"], "resourceVersion": str(revision)}
        last = Entry(self.key, revision, self.created, {**self.plain.value, "metadata": own})
        return Value(self.key, revision, self.created, last)


@dataclass(frozen=True)
class Event:
    """One write: ``old`` is None when the object is new. A deletion's ``new`` is the last state, ``deleted`` True."""

    revision: int
    old: Entry | None
    new: Entry
    deleted: bool = False


@dataclass(frozen=True)
class Change:
    """One write as the store remembers it."""

    revision: int
    old: Value | None
    new: Value
    deleted: bool = False

    def read(self, encryption: Encryption) -> Event:
        """Raises Unreadable."""
        old = self.old.read(encryption) if self.old else None
        return Event(self.revision, old, self.new.read(encryption), self.deleted)
