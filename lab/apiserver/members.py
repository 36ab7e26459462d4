"""The members of the datastore: each server's file follows the store while the server runs, in batches by one thread.

A member that was away catches up when its server starts. All look at members through `ask`, which writes first what
has been acknowledged, so nobody sees a member lag behind its cluster.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lab.apiserver.storage import Store
from lab.k3s.member import Member, Write

_BATCH_SECONDS = 0.1
COMPACTION_SECONDS = 300.0  # how often, and how much history is kept (kube-apiserver's --etcd-compaction-interval)
T = TypeVar("T")


class Members:
    """Of servers by name; `disks` are their nodes' roots. Close it after use."""

    def __init__(self, store: Store, disks: Mapping[str, Path]) -> None:
        self._store = store
        self._members = {name: Member(root) for name, root in disks.items()}
        self._thread = ThreadPoolExecutor(1, "members")
        self._pending: list[Write] = []
        self._flush_soon: asyncio.TimerHandle | None = None
        self._compacted = 0
        store.followers.append(self._hear)

    def _hear(self, revision: int, key: str, created: int, value: bytes | None) -> None:
        self._pending.append(Write(revision, key, created, value))
        if self._flush_soon is None:
            loop = asyncio.get_running_loop()
            self._flush_soon = loop.call_later(_BATCH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flush_soon = None
        self._thread.submit(self._write, self._take())

    def _take(self) -> list[Write]:
        taken, self._pending = self._pending, []
        return taken

    def _write(self, writes: list[Write]) -> None:
        for member in self._members.values():
            if member.is_open:
                member.write(writes)

    async def ask(self, name: str, question: Callable[[Member], T]) -> T:
        """The answer of one member that is open, after all that was acknowledged is in it."""

        def work(writes: list[Write]) -> T:
            self._write(writes)
            return question(self._members[name])

        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._take())

    async def open(self, name: str) -> None:
        """The server starts: its member catches up."""

        def catch_up(member: Member) -> None:
            member.open()
            with sqlite3.connect(f"file:{self._store.file}?mode=ro", uri=True) as database:
                database.execute("BEGIN")
                [revision] = database.execute("SELECT current FROM revision").fetchone()
                values = database.execute("SELECT key, value, create_revision, mod_revision FROM kv")
                member.catch_up(values, revision)
            database.close()
            self._compacted = max(self._compacted, member.compacted)
            if member.compacted < self._compacted:
                member.compact(self._compacted)

        await self.ask(name, catch_up)

    async def shut(self, name: str) -> None:
        """The server ends."""
        await self.ask(name, Member.close)

    async def compact(self, revision: int) -> None:
        """All members forget; those that are away when they are back. Raises CompactionError, in etcd's words."""
        if revision <= self._compacted:
            raise CompactionError("etcdserver: mvcc: required revision has been compacted")
        if revision > self._store.revision:
            raise CompactionError("etcdserver: mvcc: required revision is a future revision")
        self._compacted = revision
        for name, member in self._members.items():
            if member.is_open:
                await self.ask(name, lambda member: member.compact(revision))

    async def compact_for_ever(self) -> None:
        """What kube-apiservers do every five minutes: forget what is older than that."""
        before = self._store.revision
        while True:
            await asyncio.sleep(COMPACTION_SECONDS)
            if before > self._compacted:
                await self.compact(before)
            before = self._store.revision

    @property
    def revision(self) -> int:
        """The cluster's."""
        return self._store.revision

    async def close(self) -> None:
        """All that was acknowledged is in the members then."""
        if self._flush_soon:
            self._flush_soon.cancel()
        for name, member in self._members.items():
            if member.is_open:
                await self.shut(name)
        self._thread.shutdown()


class CompactionError(Exception):
    """The revision cannot be compacted."""
