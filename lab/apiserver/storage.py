"""Where objects live: a key-value store with revisions, as etcd is one, in a SQLite file.

Every acknowledged write is in the file before it is in memory, so that a killed server loses nothing; all reads come
from memory. A write raises the revision by one and is remembered as an event, up to a bounded history.
"""

from __future__ import annotations

import asyncio
import bisect
import fcntl
import json
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.apiserver.encryption import DecodeError, Encryption

Object = dict[str, Any]

HISTORY = 5000
BACKLOG = 2000  # events that a slow watcher may lag behind before it is cut off
SCHEMA = """
CREATE TABLE IF NOT EXISTS kv (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, create_revision INTEGER, mod_revision INTEGER);
CREATE TABLE IF NOT EXISTS revision (current INTEGER NOT NULL);
"""


class InUse(RuntimeError):
    """Another server works on the folder."""


class Compacted(Exception):
    """The history no longer reaches back to the revision that was asked for; ``oldest`` is where it begins."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")
        self.oldest = oldest


class Unreadable(Exception):
    """A stored value cannot be decrypted."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f'unable to transform key "{key}": {reason}')


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


@dataclass(frozen=True)
class Event:
    """One write: ``old`` is None when the object is new. A deletion's ``new`` is the last state, ``deleted`` True."""

    revision: int
    old: Entry | None
    new: Entry
    deleted: bool = False


class Watcher:
    """The events below one prefix, in order, then None if it fell too far behind or the store closes."""

    def __init__(self, prefix: str, missed: list[Event]) -> None:
        self.prefix = prefix
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._closed = False
        for event in missed:
            self._queue.put_nowait(event)

    def push(self, event: Event) -> None:
        if self._queue.qsize() >= BACKLOG:
            self.close()
        elif not self._closed:
            self._queue.put_nowait(event)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)

    async def next(self) -> Event | None:
        return await self._queue.get()


class Store:
    """The store in ``directory``/state.db. One process may use it at a time (InUse is raised for the second)."""

    def __init__(self, directory: Path, encryption: Encryption, history: int = HISTORY) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(directory / "lock")
        self._db = sqlite3.connect(directory / "state.db", isolation_level=None)
        (directory / "state.db").chmod(0o600)
        # NORMAL: a killed process loses nothing; only a power cut could lose the last writes.
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {SCHEMA}")
        self._encryption = encryption
        self._keys: list[str] = []
        self._entries: dict[str, Entry] = {}
        self._unreadable: dict[str, str] = {}
        self._log: deque[Event] = deque()
        self._history = history
        self._watchers: dict[str, set[Watcher]] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self.revision = self._load()
        self.compacted = self.revision  # what happened before the start is forgotten

    def close(self) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.close()
        self._db.close()
        self._lock.close()

    # Reading

    def get(self, key: str) -> Entry | None:
        """Raises Unreadable."""
        if key in self._unreadable:
            raise Unreadable(key, self._unreadable[key])
        return self._entries.get(key)

    def scan(self, prefix: str) -> list[Entry]:
        """All entries below ``prefix``, by key. Raises Unreadable if any of them is."""
        for key, reason in self._unreadable.items():
            if key.startswith(prefix):
                raise Unreadable(key, reason)
        return [self._entries[key] for key in self._range(prefix)]

    def scan_at(self, prefix: str, revision: int) -> list[Entry]:
        """What ``scan`` answered at that revision. Raises Compacted."""
        if revision < self.compacted:
            raise Compacted(revision, self.compacted)
        entries = {entry.key: entry for entry in self.scan(prefix)}
        for event in reversed(self._log):
            if event.revision <= revision:
                break
            if not event.new.key.startswith(prefix):
                continue
            if event.old is None:
                entries.pop(event.new.key, None)
            else:
                entries[event.new.key] = event.old
        return [entries[key] for key in sorted(entries)]

    def _range(self, prefix: str) -> list[str]:
        start = bisect.bisect_left(self._keys, prefix)
        end = bisect.bisect_left(self._keys, prefix + "\U0010ffff")
        return self._keys[start:end]

    # Writing

    def put(self, key: str, value: Object) -> Entry:
        """Store ``value`` (its metadata.resourceVersion is replaced) and tell the watchers. Raises sqlite3.Error."""
        old = self.get(key)
        revision = self.revision + 1
        metadata = {name: item for name, item in value["metadata"].items() if name != "resourceVersion"}
        stored = self._encryption.encode(key, _json({**value, "metadata": metadata}))
        created = old.created if old else revision
        self._commit(revision, "INSERT OR REPLACE INTO kv VALUES (?, ?, ?, ?)", (key, stored, created, revision))
        new = Entry(key, revision, created, {**value, "metadata": {**metadata, "resourceVersion": str(revision)}})
        if old is None:
            bisect.insort(self._keys, key)
        self._entries[key] = new
        self._publish(Event(revision, old, new))
        return new

    def delete(self, key: str) -> Entry:
        """Remove the entry and return it as it was, at the revision of its end."""
        old = self._entries[key]
        revision = self.revision + 1
        self._commit(revision, "DELETE FROM kv WHERE key = ?", (key,))
        del self._entries[key]
        del self._keys[bisect.bisect_left(self._keys, key)]
        value = {**old.value, "metadata": {**old.value["metadata"], "resourceVersion": str(revision)}}
        last = Entry(key, revision, old.created, value)
        self._publish(Event(revision, old, last, deleted=True))
        return last

    def _commit(self, revision: int, statement: str, values: tuple[Any, ...]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute(statement, values)
            self._db.execute("UPDATE revision SET current = ?", (revision,))
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.revision = revision

    # Watching

    def watch(self, prefix: str, after: int) -> Watcher:
        """What happens below ``prefix`` after revision ``after``. Raises Compacted. Release it after use."""
        if after < self.compacted:
            raise Compacted(after, self.compacted)
        missed: list[Event] = []
        for event in reversed(self._log):
            if event.revision <= after:
                break
            if event.new.key.startswith(prefix):
                missed.append(event)
        watcher = Watcher(prefix, missed[::-1])
        self._watchers.setdefault(prefix, set()).add(watcher)
        return watcher

    def release(self, watcher: Watcher) -> None:
        watchers = self._watchers[watcher.prefix]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[watcher.prefix]

    def _publish(self, event: Event) -> None:
        if len(self._log) >= self._history:
            self.compacted = self._log.popleft().revision
        self._log.append(event)
        for listener in self.listeners:
            listener(event)
        key = event.new.key
        for end, character in enumerate(key, start=1):
            if character == "/" or end == len(key):
                for watcher in self._watchers.get(key[:end], ()):
                    watcher.push(event)

    # Starting

    def _load(self) -> int:
        query = "SELECT key, value, create_revision, mod_revision FROM kv ORDER BY key"
        for key, stored, created, revision in self._db.execute(query):
            try:
                plain, stale = self._encryption.decode(key, stored)
                value = json.loads(plain)
                value["metadata"]["resourceVersion"] = str(revision)
            except DecodeError as error:
                self._unreadable[key] = str(error)
            except (ValueError, KeyError, TypeError):  # a wrong key of the right name gives noise
                self._unreadable[key] = "the stored value is not an object in JSON"
            else:
                self._keys.append(key)
                self._entries[key] = Entry(key, revision, created, value, stale)
        row = self._db.execute("SELECT current FROM revision").fetchone()
        if row is None:
            self._db.execute("INSERT INTO revision VALUES (1)")
        return row[0] if row else 1


def _json(value: Object) -> bytes:
    # With the newline that Kubernetes' own serialiser ends with.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _lock(path: Path) -> Any:
    stream = path.open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise InUse(f"another API server is using {path.parent}: stop it first") from None
    return stream
