"""Serving a double over HTTP, and HTTPS, until SIGTERM. Its log has no headers, bodies and query strings."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

log = logging.getLogger("lab.doubles")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Listener:
    """An address to listen on; with TLS where a certificate is given (its key is the file beside it, `.key`)."""

    address: str
    port: int
    certificate: Path | None = None


@web.middleware
async def logged(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One line a request: who, what, and the status. Secrets are in none of these."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        log.info("%s %s %s %d", request.remote, request.method, request.path, error.status)
        raise
    log.info("%s %s %s %d", request.remote, request.method, request.path, response.status)
    return response


def runner(app: web.Application) -> web.AppRunner:
    """What runs an application without aiohttp's own log, which would show query strings."""
    return web.AppRunner(app, access_log=None)


def serve(app: web.Application, listeners: Sequence[Listener]) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError when a port is taken or a certificate cannot be read."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_serve(app, listeners))


async def _serve(app: web.Application, listeners: Sequence[Listener]) -> None:
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    running = runner(app)
    await running.setup()
    try:
        for listener in listeners:
            context = _context(listener.certificate) if listener.certificate else None
            await web.TCPSite(running, listener.address, listener.port, ssl_context=context).start()
        await end.wait()
    finally:
        await running.cleanup()


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context
