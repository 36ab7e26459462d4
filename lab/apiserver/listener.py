"""A port on which the API is served, opened and closed any number of times while the process lives."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from lab.apiserver.web import App

HOST = "127.0.0.1"
SHUTDOWN_SECONDS = 1


def configure(app: App, port: int, certificate: Path, key: Path) -> uvicorn.Config:
    """How this server speaks HTTPS."""
    return uvicorn.Config(
        app,
        host=HOST,
        port=port,
        ssl_certfile=certificate,
        ssl_keyfile=str(key),
        http="httptools",
        ws="websockets",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=90,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process' business, not a listener's."""
        yield


class Listener:
    """While it is closed, connections to the port are refused."""

    def __init__(self, app: App, port: int) -> None:
        self._app = app
        self._port = port
        self._server: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def open(self, certificate: Path, key: Path) -> None:
        """Serve with that certificate. Raises OSError when the port is taken or the certificate cannot be used."""
        config = configure(self._app, self._port, certificate, key)
        config.load()
        door = socket.create_server((HOST, self._port), backlog=2048)
        self._server = _Uvicorn(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[door]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 (uvicorn tells nobody)
            await asyncio.sleep(0.005)

    def drop(self) -> None:
        """End all connections, as a failing machine does; new ones are welcome."""
        if self._server:
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()

    async def close(self) -> None:
        """End it at once. Nothing happens if it is closed."""
        server, task, self._server, self._task = self._server, self._task, None, None
        if server is None or task is None:
            return
        server.should_exit = server.force_exit = True
        for each in server.servers:
            each.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await task
