"""A double in a thread of the test, the logins that it refused, and a clock that the test turns."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.sharedctypes import RawValue
from pathlib import Path

from aiohttp import web

from lab.doubles.serving import Handler, runner


class Clock:
    """Seconds since 1970, `ahead` of the real time by all that was waited, also in a process that was forked."""

    def __init__(self) -> None:
        self._ahead = RawValue("d", 0.0)

    @property
    def ahead(self) -> float:
        return self._ahead.value

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        self._ahead.value = seconds

    def __call__(self) -> float:
        return time.time() + self.ahead

    def wait_until(self, moment: datetime) -> None:
        """Instead of sleeping."""
        self.ahead += max(0.0, moment.timestamp() - time.time())


@dataclass
class Refusals:
    """Counts the answers that refuse a login: status 401, or DSM's code 400."""

    count: int = 0

    @web.middleware
    async def counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        text = response.text if isinstance(response, web.Response) else ""
        tried = request.method == "POST" or "Authorization" in request.headers
        if tried and (response.status == 401 or '"error": {"code": 400}' in (text or "")):
            self.count += 1
        return response


@contextmanager
def served(app: web.Application, refusals: Refusals, certificate: Path | None = None) -> Iterator[str]:
    """The URL of a running application."""
    app.middlewares.insert(0, refusals.counted)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = runner(app)
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))

    async def start() -> int:
        await running.setup()
        site = web.TCPSite(running, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        return int(running.addresses[0][1])

    port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(running.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
