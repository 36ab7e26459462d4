"""A double that runs in a thread of the test, and a clock that the test turns."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from lab.doubles.serving import runner

START = 1_760_000_000.0  # some day in October 2025


@dataclass
class Clock:
    """Seconds since 1970, as the test wants them."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def served(app: web.Application) -> Iterator[str]:
    """The URL of a running application."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listener = socket.create_server(("127.0.0.1", 0))

    async def start() -> web.AppRunner:
        running = runner(app)
        await running.setup()
        await web.SockSite(running, listener).start()
        return running

    running = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(running.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
