"""Runs a command in a container over a WebSocket, as `kubectl exec` and the Python clients ask for it.

Protocols v4 and v5.channel.k8s.io: binary messages whose first byte is the channel; v5 adds a message that closes one.
Source: k8s.io/apimachinery/pkg/util/remotecommand and k8s.io/kubelet/pkg/cri/streaming/remotecommand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from lab.kube import Object
from lab.kubelet import session as sessions
from lab.kubelet.enclosures import Command
from lab.kubelet.logs import boolean
from lab.kubelet.session import Session

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK = 32 * 1024
_DRAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Streams:
    """Which streams the caller wants; with `tty` standard error comes with standard output."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Streams:
        """Reads a URL's query; raises ValueError."""
        streams = cls(*(boolean(query, name) for name in ("input", "output", "error", "tty")))
        if not (streams.stdin or streams.stdout or streams.stderr):
            raise ValueError("you must specify at least 1 of stdin, stdout, stderr")
        return streams


async def serve(request: web.Request, command: Command, streams: Streams) -> web.WebSocketResponse:
    """Answer a WebSocket request by running `command`; it is killed when the caller goes away."""
    socket = web.WebSocketResponse(protocols=PROTOCOLS, heartbeat=30, max_msg_size=0)
    await socket.prepare(request)
    # An empty message first: clients take it as the sign that the command is being run.
    await socket.send_bytes(bytes([_STDOUT if streams.stdout else _STDERR if streams.stderr else _ERROR]))
    try:
        status = await _run(socket, command, streams)
    except OSError as error:
        status = _failure("InternalError", f"error executing command: {error}")
    with contextlib.suppress(ConnectionError):  # the caller may have gone meanwhile
        await socket.send_bytes(bytes([_ERROR]) + json.dumps(status).encode())
        await socket.close()
    return socket


async def _run(socket: web.WebSocketResponse, command: Command, streams: Streams) -> Object:
    """Run the command with its streams joined to the socket; the Status that ends it."""
    session = await sessions.start(command, tty=streams.tty)
    if not streams.stdin:
        session.end_input()
    wanted = {_STDOUT: streams.stdout, _STDERR: streams.stderr}
    outputs = zip((_STDOUT, _STDERR), session.outputs, strict=False)
    writing = [
        asyncio.create_task(_forward(socket, channel, reader, wanted=wanted[channel])) for channel, reader in outputs
    ]
    reading = asyncio.create_task(_receive(socket, session, streams))
    ended = asyncio.create_task(session.process.wait())
    try:
        await asyncio.wait([ended, reading], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():  # the caller has gone
            session.kill()
        await asyncio.wait(writing, timeout=_DRAIN_SECONDS)
        code = await ended
    finally:
        session.close()
        for task in (reading, *writing):
            task.cancel()
    return _status(128 - code if code < 0 else code)


async def _receive(socket: web.WebSocketResponse, session: Session, streams: Streams) -> None:
    """Pass on what the caller sends, until the caller goes away."""
    async for message in socket:
        # The Python client sends text, which a real API server passes on as it is.
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT) or not data:
            continue
        channel, content = data[0], data[1:]
        if channel == _STDIN and streams.stdin:
            await session.feed(content)
        elif channel == _CLOSE and content == bytes([_STDIN]):
            session.end_input()
        elif channel == _RESIZE:
            size = json.loads(content)
            session.resize(size["Height"], size["Width"])


async def _forward(socket: web.WebSocketResponse, channel: int, reader: asyncio.StreamReader, *, wanted: bool) -> None:
    """Pass on what the command writes; unwanted output is read too, lest the command blocks."""
    with contextlib.suppress(OSError):  # the caller has gone, or (EIO) the terminal has
        while data := await reader.read(_CHUNK):
            if wanted:
                await socket.send_bytes(bytes([channel]) + data)


def _status(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    failure = _failure("NonZeroExitCode", f"command terminated with non-zero exit code: exit status {code}")
    return failure | {"details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}


def _failure(reason: str, message: str) -> Object:
    return {"metadata": {}, "status": "Failure", "reason": reason, "message": message}
