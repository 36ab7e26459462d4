"""In front of PostgreSQL: rules strike logins and statements.

The method of a login is CONNECT and its path `user@database`; that of a statement is QUERY and its path the text.
https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

import asyncio
import struct

from lab.faults.rules import Kind, Rule
from lab.faults.tcp import TcpProxy, pump

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
# Message types: of the client a simple query and the preparation of a statement; of the server what ends an answer.
QUERY, PARSE, PARSED, READY = b"Q", b"P", b"1", b"Z"
# The server's own answer to each fault: SQLSTATE and text.
ERRORS = {
    Kind.CONFLICT: ("40001", "could not serialize access due to concurrent update"),
    Kind.BUSY: ("53300", "sorry, too many clients already"),
    Kind.ERROR: ("XX000", "could not write to file: Input/output error"),
    Kind.EXPIRED: ("57P05", "terminating connection due to idle-session timeout"),
    Kind.LOCKED: ("28000", "login is not permitted now"),
}


class PostgresProxy(TcpProxy):
    """TLS is declined, so the proxy can read; passwords pass as SCRAM proofs only."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        code, startup = await _startup(reader)
        while code in (SSL_REQUEST, GSS_REQUEST):
            writer.write(b"N")
            await writer.drain()
            code, startup = await _startup(reader)
        rule = None if code == CANCEL_REQUEST else self.rules.strike("CONNECT", _login(startup))
        if not await self._passes(rule, writer):
            return
        upstream_reader, upstream_writer = await self.connect()
        try:
            upstream_writer.write(startup)
            if rule is not None and rule.kind in (Kind.CUT, Kind.LOST):
                await _spoil(rule, READY, upstream_reader, writer)
            async with asyncio.TaskGroup() as both:
                down = both.create_task(pump(upstream_reader, writer))
                await self._statements(reader, writer, upstream_reader, upstream_writer, down)
        finally:
            upstream_writer.close()

    async def _statements(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
        down: asyncio.Task[None],
    ) -> None:
        """Pass on what the client says, message by message, until it ends or a rule ends it."""
        while message := await _message(reader):
            kind = message[:1]
            rule = self.rules.strike("QUERY", _statement(message)) if kind in (QUERY, PARSE) else None
            if not await self._passes(rule, writer):
                raise ConnectionAbortedError("spoilt")
            lost = rule is not None and rule.kind in (Kind.CUT, Kind.LOST)
            if lost:
                down.cancel()
                await asyncio.gather(down, return_exceptions=True)
            upstream_writer.write(message)
            await upstream_writer.drain()
            if rule is not None and lost:
                await _spoil(rule, READY if kind == QUERY else PARSED, upstream_reader, writer)
        upstream_writer.write_eof()

    async def _passes(self, rule: Rule | None, writer: asyncio.StreamWriter) -> bool:
        """Whether the message reaches the server; if not, the client has had its answer."""
        if rule is None or rule.kind in (Kind.CUT, Kind.LOST):
            return True
        if rule.kind is Kind.SLOW:
            await asyncio.sleep(rule.seconds)
            return True
        if rule.kind is not Kind.DOWN:
            writer.write(_error(*ERRORS[rule.kind]))
            await writer.drain()
            writer.close()
            return False
        writer.transport.abort()
        return False


async def _spoil(rule: Rule, end: bytes, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Await the server's whole answer; then the connection breaks, before it or (`cut`) in the middle of it."""
    answer = b""
    while message := await _message(upstream):
        answer += message
        if message[:1] == end or message[:1] == b"E" or (message[:1] == b"R" and end == READY):
            break
    if rule.kind is Kind.CUT:
        writer.write(answer[: len(answer) // 2])
        await writer.drain()
    raise ConnectionAbortedError(f"spoilt: {rule.kind}")


async def _startup(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The first message has no type, and a code in its place. Raises EOFError."""
    head = await reader.readexactly(8)
    length, code = struct.unpack("!ii", head)
    return code, head + await reader.readexactly(length - 8)


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One message with type and length; nothing at the end of the stream."""
    kind = await reader.read(1)
    if not kind:
        return b""
    size = await reader.readexactly(4)
    return kind + size + await reader.readexactly(struct.unpack("!i", size)[0] - 4)


def _login(startup: bytes) -> str:
    words = startup[8:].rstrip(b"\0").split(b"\0")
    settings = dict(zip(words[::2], words[1::2], strict=False))
    user = settings.get(b"user", b"")
    return f"{user.decode()}@{settings.get(b'database', user).decode()}"


def _statement(message: bytes) -> str:
    text = message[5:]
    if message[:1] == PARSE:
        text = text.partition(b"\0")[2]  # the name of the prepared statement comes first
    return text.partition(b"\0")[0].decode(errors="replace")


def _error(code: str, text: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C{code}\0M{text}\0\0".encode()
    return b"E" + struct.pack("!i", len(fields) + 4) + fields
