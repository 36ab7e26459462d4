"""One server's member of the datastore: a file on its disk with every revision of every key, as etcd's has.

An overwritten value stays until `compact`, and its bytes stay in the file until `defrag`, because SQLite's free pages
are as etcd's: not wiped (secure_delete is off; some builds turn it on).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

FILE = Path("var/lib/rancher/k3s/server/db/etcd/member/snap/db")
SCHEMA = """
CREATE TABLE IF NOT EXISTS kv (
    key TEXT NOT NULL, revision INTEGER NOT NULL, created INTEGER NOT NULL, value BLOB, PRIMARY KEY (key, revision));
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL);
INSERT OR IGNORE INTO meta VALUES ('revision', 0), ('compacted', 0);
"""
# The newest revision of each key below a prefix; a deleted one has no value.
_NEWEST = """
SELECT key, value, created, max(revision) FROM kv WHERE key >= ? AND key < ? GROUP BY key HAVING value IS NOT NULL
"""


class Write(NamedTuple):
    """One revision; `value` is None for a deletion."""

    revision: int
    key: str
    created: int
    value: bytes | None


class Member:
    """Open it with `open`. One thread may use it."""

    def __init__(self, root: Path) -> None:
        self.file = root / FILE
        self._db: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        return self._db is not None

    def open(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(self.file, isolation_level=None)
        self.file.chmod(0o600)
        # What a power cut may lose is caught up from the store; a killed process loses nothing.
        self._db.executescript("PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=OFF; PRAGMA secure_delete=OFF;")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        if self._db:
            self._db.close()
            self._db = None

    @property
    def _open(self) -> sqlite3.Connection:
        assert self._db is not None, f"{self.file} is not open"
        return self._db

    @property
    def revision(self) -> int:
        """The newest that it has."""
        return self._number("revision")

    @property
    def compacted(self) -> int:
        return self._number("compacted")

    def _number(self, name: str) -> int:
        row = self._open.execute("SELECT number FROM meta WHERE name = ?", (name,)).fetchone()
        return int(row[0])

    def write(self, writes: Iterable[Write]) -> None:
        """Add revisions that are newer than what it has."""
        known = self.revision
        fresh = [write for write in writes if write.revision > known]
        if fresh:
            self._add(fresh, fresh[-1].revision)

    def catch_up(self, values: Iterable[tuple[str, bytes, int, int]], revision: int) -> None:
        """Become as the store is at `revision`: `values` are (key, value, created, revision) of all that exists."""
        known = self.revision
        if known == revision:
            return
        values = list(values)
        fresh = [Write(changed, key, created, value) for key, value, created, changed in values if changed > known]
        gone = {row[0] for row in self._open.execute(_NEWEST, ("", "\U0010ffff"))} - {value[0] for value in values}
        self._add([*fresh, *(Write(revision, key, 0, None) for key in sorted(gone))], revision)

    def _add(self, writes: list[Write], revision: int) -> None:
        self._open.execute("BEGIN IMMEDIATE")
        rows = [(write.key, write.revision, write.created, write.value) for write in writes]
        self._open.executemany("INSERT OR REPLACE INTO kv VALUES (?, ?, ?, ?)", rows)
        self._open.execute("UPDATE meta SET number = ? WHERE name = 'revision'", (revision,))
        self._open.execute("COMMIT")

    def get(self, start: str, end: str) -> list[tuple[str, bytes, int, int]]:
        """(key, value, created, revision) of what exists from `start` up to but not including `end`, by key."""
        return [tuple(row) for row in self._open.execute(_NEWEST, (start, end))]

    def compact(self, revision: int) -> None:
        """Forget what was overwritten or deleted up to that revision."""
        self._open.execute("BEGIN IMMEDIATE")
        self._open.execute(
            "DELETE FROM kv WHERE revision <= ?1 AND (value IS NULL OR EXISTS "
            "(SELECT 1 FROM kv AS newer WHERE newer.key = kv.key AND newer.revision > kv.revision "
            "AND newer.revision <= ?1))",
            (revision,),
        )
        self._open.execute("UPDATE meta SET number = max(number, ?) WHERE name = 'compacted'", (revision,))
        self._open.execute("COMMIT")

    def defragment(self) -> None:
        """Write the file anew, without free pages."""
        self._open.execute("VACUUM")

    def sizes(self) -> tuple[int, int]:
        """Bytes of the file, and of them in use."""
        page, pages, free = (self._open.execute(f"PRAGMA {name}").fetchone()[0]
                             for name in ("page_size", "page_count", "freelist_count"))  # fmt: skip
        return page * pages, page * (pages - free)

    def copy(self, target: Path) -> None:
        """The file as it is, free pages included; nobody writes meanwhile, since one thread uses it."""
        shutil.copyfile(self.file, target)
