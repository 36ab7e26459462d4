"""In front of any TCP server: rules strike connections, whose method is CONNECT and whose path is empty."""

from __future__ import annotations

import asyncio
from typing import Self

from lab.faults.rules import Kind, Rule, Rules

HOST = "127.0.0.1"
_CHUNK = 64 * 1024


class TcpProxy:
    """An async context manager: listens on `port` of 127.0.0.1 and passes on to `upstream`.

    Without knowing the protocol it can be down, slow, cut or lost; every other fault sends the rule's `body` and ends.
    """

    def __init__(self, upstream: tuple[str, int], port: int) -> None:
        self.rules = Rules()
        self.port = port
        self._upstream = upstream
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self.serve(reader, writer)
        except* (OSError, EOFError):
            writer.transport.abort()
        except* asyncio.CancelledError:
            writer.transport.abort()  # the proxy ends; asyncio would log the cancellation as an error
        finally:
            self._connections.discard(task)
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its end. Raises OSError and EOFError when a side breaks off."""
        rule = self.rules.strike("CONNECT", "")
        if rule is not None and rule.kind is Kind.SLOW:
            await asyncio.sleep(rule.seconds)
        elif rule is not None and rule.kind is Kind.DOWN:
            writer.transport.abort()
            return
        elif rule is not None and rule.kind not in (Kind.CUT, Kind.LOST):
            writer.write(rule.body.encode())
            await writer.drain()
            return
        upstream_reader, upstream_writer = await self.connect()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(pump(reader, upstream_writer))
                both.create_task(_answers(rule, upstream_reader, writer))
        finally:
            upstream_writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the server. Raises OSError."""
        return await asyncio.open_connection(*self._upstream)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the sender ends its half, and end ours."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _answers(rule: Rule | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if rule is None or rule.kind is Kind.SLOW:
        await pump(reader, writer)
        return
    data = await reader.read(_CHUNK)
    if rule.kind is Kind.CUT:
        writer.write(data[: len(data) // 2])
        await writer.drain()
    raise ConnectionAbortedError(f"spoilt: {rule.kind}")
