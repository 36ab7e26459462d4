"""One listening port of this machine, and the connections that it hands on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from lab.proxy.view import Address

HOST = "127.0.0.1"
_CHUNK = 64 * 1024
_CONNECT_SECONDS = 5.0


class Forwarder:
    """Hands each new connection on to one of `endpoints()`, in turn; one that refuses is passed over.

    With nobody to hand it on to, a connection is reset.
    """

    def __init__(self, endpoints: Callable[[], Sequence[Address]]) -> None:
        self._endpoints = endpoints
        self._turn = 0
        self._server: asyncio.Server | None = None

    async def listen(self, port: int) -> None:
        """Accept connections. Raises OSError when somebody else has the port."""
        self._server = await asyncio.start_server(self._serve, HOST, port)

    def close(self) -> None:
        """Accept no more; connections that stand live on."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await self._connect()
        if upstream is None:
            writer.transport.abort()
            return
        upstream_reader, upstream_writer = upstream
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, upstream_writer))
                both.create_task(_pump(upstream_reader, writer))
        except* OSError:
            pass  # one side has gone; the other hears of it below
        finally:
            writer.close()
            upstream_writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        endpoints = self._endpoints()
        self._turn += 1
        for offset in range(len(endpoints)):
            host, port = endpoints[(self._turn + offset) % len(endpoints)]
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await asyncio.open_connection(host, port)
            except (OSError, TimeoutError):
                continue
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the sender ends its half, and end ours."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
