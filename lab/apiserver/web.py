"""The ASGI application: HTTP and WebSocket in, Status objects and streams out."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qsl

from lab.apiserver import errors
from lab.apiserver.encryption import Keyring
from lab.apiserver.errors import ApiError
from lab.apiserver.impersonation import impersonated
from lab.apiserver.proxy import PROTOCOLS, relay
from lab.apiserver.requests import Request, target
from lab.apiserver.responses import JSON, Response, json_response
from lab.apiserver.server import Server
from lab.apiserver.values import through

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LONGEST_BODY = 3 * 1024 * 1024


log = logging.getLogger(__name__)


class App:
    """One server as an ASGI application (https://asgi.readthedocs.io/).

    ``keyring`` tells with which keys a request that comes now is answered; without it, with the store's own.
    """

    def __init__(self, server: Server, keyring: Callable[[], Keyring] | None = None) -> None:
        self._server = server
        self._keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._keyring:
            through.set(self._keyring())  # each request and each connection runs in a context of its own
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await self._websocket(scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        warnings: list[str] = []
        try:
            request = self._request(scope)
            warnings = request.warnings
            request.body = await _body(receive)
            response = await self._server.answer(request)
        except ApiError as error:
            response = json_response(error.status, error.code)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            response = json_response(errors.internal("see the server's log").status, 500)
        await _respond(response, warnings, receive, send)

    def _request(self, scope: Scope) -> Request:
        """The request with its user. Raises ApiError 401, and 403 for a forbidden impersonation."""
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        groups = [value.decode() for name, value in scope["headers"] if name.lower() == b"impersonate-group"]
        bearer = self._server.authenticator.request(headers)
        user = impersonated(self._server.access, bearer.user, headers, groups)
        query: dict[str, str] = {}
        for name, value in _query(scope):
            query.setdefault(name, value)  # the first value counts
        method = scope.get("method", "GET")
        return Request(method, scope["path"], query, headers, user, bearer.extra if user is bearer.user else {})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        offered = [name for name in scope.get("subprotocols", []) if name in PROTOCOLS]
        try:
            request = self._request(scope)
            found = target("GET", request.path, request.query, self._server.registry.resources)
            if found is None or found.subresource not in ("exec", "attach"):
                raise errors.bad_request("only pods/exec and pods/attach speak WebSocket")
            self._server.access.require(request, found)
            kubelet = await self._server.kubelets.stream(found, _query(scope), offered)
        except ApiError as error:
            await _refuse(error, send)
            return
        await send({"type": "websocket.accept", "subprotocol": kubelet.protocol})

        async def from_client() -> bytes | None:
            message = await receive()
            if message["type"] != "websocket.receive":
                return None
            data: bytes | None = message.get("bytes")
            return data if data is not None else message["text"].encode()

        async def to_client(data: bytes) -> None:
            await send({"type": "websocket.send", "bytes": data})

        await relay(kubelet, from_client, to_client)
        await send({"type": "websocket.close", "code": 1000})


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode(), keep_blank_values=True)


async def _body(receive: Receive) -> bytes:
    """Raises ApiError 413."""
    parts, size = [], 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LONGEST_BODY:
            raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LONGEST_BODY}", {})
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(response: Response, warnings: list[str], receive: Receive, send: Send) -> None:
    headers = [(b"content-type", response.content_type.encode()), (b"audit-id", str(uuid.uuid4()).encode())]
    headers += [(b"warning", _warning(text)) for text in dict.fromkeys(warnings)]
    if response.stream is None:
        headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.code, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        return
    await send({"type": "http.response.start", "status": response.code, "headers": headers})
    await _stream(response.stream, receive, send)


def _warning(text: str) -> bytes:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'.encode("latin-1", errors="replace")


async def _refuse(error: ApiError, send: Send) -> None:
    """Answer the handshake of a WebSocket by a plain HTTP response, as a real server does."""
    body = json.dumps(error.status).encode()
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": error.code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def _stream(stream: AsyncGenerator[bytes, None], receive: Receive, send: Send) -> None:
    """Send what comes until the stream or the client ends."""

    async def pump() -> None:
        async with aclosing(stream):
            async for chunk in stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    # The headers go out with the first body message, and a watch may have nothing to say for long.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    tasks = [asyncio.ensure_future(pump()), asyncio.ensure_future(gone())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    failure = results[0]
    if isinstance(failure, Exception):
        log.error("a stream ended early", exc_info=failure)
        return  # without the closing chunk, so that the client sees that something is missing
    await send({"type": "http.response.body", "body": b""})
