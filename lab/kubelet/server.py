"""What the API server asks of a kubelet over HTTPS: logs of containers, and commands run in them."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from lab.kube import ApiError, Kube
from lab.kubelet import logs, remote_command
from lab.kubelet.containers import Container
from lab.kubelet.logs import LogOptions
from lab.kubelet.manager import Manager
from lab.kubelet.remote_command import Streams
from lab.kubelet.status import ADDRESS

log = logging.getLogger(__name__)

_PUBLISHED = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The kubelet's port, shared by all nodes; texts and codes of refusals are a real kubelet's."""

    def __init__(self, manager: Manager, *, certs: Path, port: int, anonymous: bool) -> None:
        self._manager = manager
        self._certs = certs
        self._port = port
        self._anonymous = anonymous

    async def start(self, kube: Kube) -> web.AppRunner:
        """Listen on 127.0.0.1; the runner's `cleanup` ends it. Raises OSError when the port is taken."""
        app = web.Application(middlewares=[self._require_certificate])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._container_logs)
        app.router.add_get("/exec/{namespace}/{pod}/{container}", self._exec)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, handler_cancellation=True)
        await runner.setup()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self._certs / "kubelet.crt", self._certs / "kubelet.key")
        tls.load_verify_locations(cadata=await _client_authorities(kube, self._certs / "ca.crt"))
        tls.verify_mode = ssl.CERT_OPTIONAL  # /healthz is open; everything else asks for a certificate below
        if self._anonymous:
            log.warning("anonymous requests for logs and exec are accepted, because --anonymous was given")
        await web.TCPSite(runner, ADDRESS, self._port, ssl_context=tls).start()
        return runner

    @web.middleware
    async def _require_certificate(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        connection = request.get_extra_info("ssl_object")
        known = connection is not None and connection.getpeercert()  # verified in the handshake
        if not (known or self._anonymous or request.path == "/healthz"):
            raise web.HTTPUnauthorized(text="Unauthorized")
        return await handler(request)

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _container_logs(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        try:
            options = LogOptions.parse(request.query)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        found = container.log_file(previous=options.previous)
        if found is None and container.held and not options.previous:
            return web.Response(text="")
        if found is None:
            raise web.HTTPBadRequest(text=_no_log(container, request.match_info["pod"], previous=options.previous))
        path, live = found
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer.prepare(request)
        async for text in logs.read(path, options, live):
            await answer.write(text)
        return answer

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        try:
            streams = Streams.parse(request.query)
            command = container.entering(tuple(request.query.getall("command")))
        except (ValueError, KeyError) as error:
            raise web.HTTPBadRequest(text=f"bad request: {error}") from error
        except ProcessLookupError as error:
            raise web.HTTPNotFound(text=f'container not found ("{container.name}")') from error
        return await remote_command.serve(request, command, streams)

    def _container(self, request: web.Request) -> Container:
        names = request.match_info
        pod = self._manager.find(names["namespace"], names["pod"])
        if pod is None:
            raise web.HTTPNotFound(text="pod does not exist")
        if names["container"] not in pod.containers:
            raise web.HTTPNotFound(text=f"container {names['container']} not found in pod {names['pod']}")
        return pod.containers[names["container"]]


def _no_log(container: Container, pod: str, *, previous: bool) -> str:
    waiting = container.record.status["state"].get("waiting")
    if waiting and not previous:
        return f'container "{container.name}" in pod "{pod}" is waiting to start: {waiting["reason"]}'
    return f'{"previous " if previous else ""}terminated container "{container.name}" in pod "{pod}" not found'


async def _client_authorities(kube: Kube, own: Path) -> str:
    """The certificates of those who may vouch for callers: the lab's own, and what the API server publishes."""
    authorities = own.read_text()
    try:
        published = await kube.request("GET", _PUBLISHED)
    except ApiError as error:
        if error.status != 404:
            raise
        log.info("the API server publishes no client authority: only the lab's own is accepted")
        return authorities
    return authorities + str(published.get("data", {}).get("client-ca-file", ""))
