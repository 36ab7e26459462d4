"""Where objects live: a key-value store with revisions, as etcd is one, in a SQLite file.

Every acknowledged write is in the file before it is in memory, so that a killed server loses nothing; all reads come
from memory. A write raises the revision by one and is remembered as an event, up to a bounded history.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import fcntl
import json
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.apiserver.encryption import Encryption, Keyring
from lab.apiserver.providers import ENCRYPTED
from lab.apiserver.values import Change, Entry, Event, Object, Unreadable, Value, through

__all__ = ["HISTORY", "Compacted", "Entry", "Event", "InUse", "Store", "Unreadable", "Watcher"]

HISTORY = 5000
_NO_KEYS = Encryption()
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


class Watcher:
    """The events below one prefix, in order, then None if it fell too far behind or the store closes."""

    def __init__(self, prefix: str, missed: list[Change], encryption: Callable[[], Encryption]) -> None:
        self.prefix = prefix
        self._encryption = encryption
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._closed = False
        for change in missed:
            self._queue.put_nowait(change)

    def push(self, change: Change) -> None:
        if self._queue.qsize() >= BACKLOG:
            self.close()
        elif not self._closed:
            self._queue.put_nowait(change)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)

    async def next(self) -> Event | None:
        """Raises Unreadable for an event that the keys of the request's server do not open."""
        change = await self._queue.get()
        return change.read(self._encryption()) if change else None


class Store:
    """The store in ``directory``/state.db. One process may use it at a time (InUse is raised for the second).

    Inside of a request values are read and written with the keys of the server that was asked (``values.through``),
    otherwise with ``own``.
    """

    def __init__(self, directory: Path, encryption: Encryption, history: int = HISTORY) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(directory / "lock")
        self.file = directory / "state.db"
        self._db = sqlite3.connect(self.file, isolation_level=None)
        self.file.chmod(0o600)
        # NORMAL: a killed process loses nothing; only a power cut could lose the last writes.
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {SCHEMA}")
        self.own = Keyring(encryption)
        self._keys: list[str] = []
        self._values: dict[str, Value] = {}
        self._log: deque[Change] = deque()
        self._history = history
        self._watchers: dict[str, set[Watcher]] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self.followers: list[Callable[[int, str, int, bytes | None], None]] = []  # revision, key, created, stored bytes
        self.revision = self._load()
        self.compacted = self.revision  # what happened before the start is forgotten

    def close(self) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.close()
        self._db.close()
        self._lock.close()

    # Reading

    def _encryption(self) -> Encryption:
        return (through.get() or self.own).encryption

    def get(self, key: str) -> Entry | None:
        """Raises Unreadable."""
        value = self._values.get(key)
        return value.read(self._encryption()) if value else None

    def scan(self, prefix: str) -> list[Entry]:
        """All entries below ``prefix``, by key. Raises Unreadable if any of them is."""
        encryption = self._encryption()
        return [self._values[key].read(encryption) for key in self._range(prefix)]

    def scan_at(self, prefix: str, revision: int) -> list[Entry]:
        """What ``scan`` answered at that revision. Raises Compacted and Unreadable."""
        if revision < self.compacted:
            raise Compacted(revision, self.compacted)
        values = {key: self._values[key] for key in self._range(prefix)}
        for change in reversed(self._log):
            if change.revision <= revision:
                break
            if not change.new.key.startswith(prefix):
                continue
            if change.old is None:
                values.pop(change.new.key, None)
            else:
                values[change.new.key] = change.old
        return [values[key].read(self._encryption()) for key in sorted(values)]

    def _range(self, prefix: str) -> list[str]:
        start = bisect.bisect_left(self._keys, prefix)
        end = bisect.bisect_left(self._keys, prefix + "\U0010ffff")
        return self._keys[start:end]

    # Writing

    def put(self, key: str, value: Object) -> Entry:
        """Store ``value`` (its metadata.resourceVersion is replaced) and tell the watchers.

        Raises Unreadable for what is there now, and sqlite3.Error.
        """
        encryption = self._encryption()
        before, old = self._values.get(key), self.get(key)
        revision = self.revision + 1
        metadata = {name: item for name, item in value["metadata"].items() if name != "resourceVersion"}
        stored = encryption.encode(key, _json({**value, "metadata": metadata}))
        created = old.created if old else revision
        self._commit(revision, "INSERT OR REPLACE INTO kv VALUES (?, ?, ?, ?)", (key, stored, created, revision))
        entry = Entry(key, revision, created, {**value, "metadata": {**metadata, "resourceVersion": str(revision)}})
        if stored.startswith(ENCRYPTED):
            new = Value(key, revision, created, stored=stored, seen={encryption: entry})
        else:
            new = Value(key, revision, created, entry)
        for follow in self.followers:
            follow(revision, key, created, stored)
        if before is None:
            bisect.insort(self._keys, key)
        self._values[key] = new
        self._publish(Change(revision, before, new))
        return entry

    def delete(self, key: str) -> Entry:
        """Remove the entry and return it as it was, at the revision of its end. Raises Unreadable."""
        old = self._values[key]
        old.read(self._encryption())
        revision = self.revision + 1
        self._commit(revision, "DELETE FROM kv WHERE key = ?", (key,))
        for follow in self.followers:
            follow(revision, key, old.created, None)
        del self._values[key]
        del self._keys[bisect.bisect_left(self._keys, key)]
        last = old.at_its_end(revision)
        self._publish(Change(revision, old, last, deleted=True))
        return last.read(self._encryption())

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
        missed: list[Change] = []
        for change in reversed(self._log):
            if change.revision <= after:
                break
            if change.new.key.startswith(prefix):
                missed.append(change)
        watcher = Watcher(prefix, missed[::-1], self._encryption)
        self._watchers.setdefault(prefix, set()).add(watcher)
        return watcher

    def release(self, watcher: Watcher) -> None:
        watchers = self._watchers[watcher.prefix]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[watcher.prefix]

    def _publish(self, change: Change) -> None:
        if len(self._log) >= self._history:
            self.compacted = self._log.popleft().revision
        self._log.append(change)
        event = change.read(self._encryption())
        for listener in self.listeners:
            listener(event)
        key = change.new.key
        for end, character in enumerate(key, start=1):
            if character == "/" or end == len(key):
                for watcher in self._watchers.get(key[:end], ()):
                    watcher.push(change)

    # Starting

    def _load(self) -> int:
        query = "SELECT key, value, create_revision, mod_revision FROM kv ORDER BY key"
        for key, stored, created, revision in self._db.execute(query):
            value = Value(key, revision, created, stored=stored)
            if not stored.startswith(ENCRYPTED):
                with contextlib.suppress(Unreadable):  # a damaged one: whoever asks for it is told
                    value = Value(key, revision, created, value.read(_NO_KEYS))
            self._keys.append(key)
            self._values[key] = value
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
