"""Talking to a running supervisor: one JSON line each way over a Unix socket that only its owner may open."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Request = dict[str, Any]
Reply = dict[str, Any]

LONGEST_PATH = 100  # of a Unix socket; the kernel's limit is 108 bytes, 104 on macOS


class NobodyError(Exception):
    """No supervisor answers on that socket."""


@asynccontextmanager
async def serve(path: Path, answer: Callable[[Request], Awaitable[Reply]]) -> AsyncIterator[None]:
    """Answer requests on the socket while the context lasts. The caller must be the only supervisor of this lab."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await answer(json.loads(await reader.readline()))
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        finally:
            writer.close()

    path.unlink(missing_ok=True)  # a killed supervisor leaves its socket behind
    old_mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(converse, path)
    finally:
        os.umask(old_mask)
    try:
        async with server:
            yield
    finally:
        path.unlink(missing_ok=True)


def ask(path: Path, request: Request, timeout: float = 120) -> Reply:
    """Send one request and wait for its answer. Raises NobodyError when nobody listens or the supervisor goes away."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            line = connection.makefile("rb").readline()
        except (FileNotFoundError, ConnectionError) as error:
            raise NobodyError(f"no lab answers at {path}") from error
    if not line:
        raise NobodyError(f"the lab at {path} went away before it answered")
    reply: Reply = json.loads(line)
    return reply
