"""What a container writes: one file for each of its starts, read as `kubectl logs` asks.

A line of a file is `TIME F TEXT`, or `TIME P TEXT` for a piece of a longer or unfinished line, as container runtimes
write them (https://kubernetes.io/docs/concepts/cluster-administration/logging/), with both streams in one order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab import times

_LONGEST_PIECE = 16 * 1024
_TRUE, _FALSE = {"1", "t", "T", "true", "TRUE", "True"}, {"", "0", "f", "F", "false", "FALSE", "False"}


@dataclass(frozen=True)
class LogOptions:
    """The query parameters of a log request, as `PodLogOptions` defines them."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> LogOptions:
        """Reads a URL's query; raises ValueError with a sentence for the caller."""
        since = times.parse(query["sinceTime"]) if query.get("sinceTime") else None
        ago = _number(query, "sinceSeconds")
        return cls(
            follow=boolean(query, "follow"),
            previous=boolean(query, "previous"),
            timestamps=boolean(query, "timestamps"),
            tail_lines=_number(query, "tailLines"),
            since=since if ago is None else datetime.now(UTC) - timedelta(seconds=ago),
            limit_bytes=_number(query, "limitBytes"),
        )


def boolean(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter as Go reads it: Python clients send `True`."""
    value = query.get(name, "")
    if value not in _TRUE | _FALSE:
        raise ValueError(f"{name} must be true or false, not {value!r}")
    return value in _TRUE


def _number(query: Mapping[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    number = int(query[name])
    if number < 0:
        raise ValueError(f"{name} must not be negative")
    return number


class Log:
    """The output of one start of a container."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.ended = False
        self._rest = b""
        self._grown = asyncio.Event()
        self._file = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        """Add output; a line is stored when it is complete, or when it gets long."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        now = times.nanos().encode()
        stored = [now + b" F " + line + b"\n" for line in lines]
        while len(self._rest) >= _LONGEST_PIECE:
            stored.append(now + b" P " + self._rest[:_LONGEST_PIECE] + b"\n")
            self._rest = self._rest[_LONGEST_PIECE:]
        self._store(b"".join(stored))

    def end(self) -> None:
        """No more output will come; followers get what is left and end."""
        if self._rest:
            self._store(times.nanos().encode() + b" P " + self._rest + b"\n")
            self._rest = b""
        self.ended = True
        self._wake()
        self._file.close()

    async def wait(self) -> None:
        """Until there is more output, or its end."""
        grown = self._grown
        if not self.ended:
            await grown.wait()

    def _store(self, data: bytes) -> None:
        if data:
            self._file.write(data)
            self._wake()

    def _wake(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()


async def read(path: Path, options: LogOptions, live: Log | None = None) -> AsyncIterator[bytes]:
    """The text of a log as asked for; with `follow`, and while `live` still grows, what is added to it too."""
    left = options.limit_bytes
    with path.open("rb") as file:
        pieces = [piece for piece in file.readlines() if _is_since(piece, options.since)]
        lines = _Lines(timestamps=options.timestamps)
        text = lines.text(_tail(pieces, options.tail_lines))
        while True:
            text = text[:left]
            if text:
                yield text
            left = None if left is None else left - len(text)
            if left == 0:
                return
            added = file.readlines()
            if not added:
                if live is None or live.ended or not options.follow:
                    return
                await live.wait()
            text = lines.text(added)


async def last_words(path: Path) -> str:
    """What a termination message falls back to: the last 80 lines, and of these at most the last 2 KiB."""
    text = b"".join([piece async for piece in read(path, LogOptions(tail_lines=80))])
    return text[-2048:].decode(errors="replace")


def _is_since(piece: bytes, since: datetime | None) -> bool:
    return since is None or times.parse(piece.split(b" ", 1)[0].decode()) >= since


def _tail(pieces: list[bytes], lines: int | None) -> list[bytes]:
    """The pieces of the last lines."""
    if lines is None:
        return pieces
    start = len(pieces)
    while start and lines >= 0:
        start -= 1
        if start == len(pieces) - 1 or _is_full(pieces[start]):
            lines -= 1
    return pieces[start + 1 :] if lines < 0 else pieces[start:]


def _is_full(piece: bytes) -> bool:
    return piece.split(b" ", 2)[1] == b"F"


class _Lines:
    """Puts the pieces of a file together again."""

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._begins = True

    def text(self, pieces: list[bytes]) -> bytes:
        """The text of the next pieces; a time stands only where a line begins."""
        text = []
        for piece in pieces:
            time, kind, content = piece.split(b" ", 2)
            if self._timestamps and self._begins:
                text.append(time + b" ")
            self._begins = kind == b"F"
            text.append(content if self._begins else content[:-1])
        return b"".join(text)
