"""In front of an HTTP(S) server: bodies and streams pass as they are, unless a rule strikes."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from lab.faults.answers import Made, Wording, plain
from lab.faults.rules import Kind, Rule, Rules

HOST = "127.0.0.1"
# They belong to one connection (RFC 9110, 7.6.1); Host is the server's own.
HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "host",
}  # fmt: skip
BEFORE = {Kind.CONFLICT, Kind.BUSY, Kind.ERROR, Kind.EXPIRED, Kind.LOCKED}
# What aiohttp would add of its own.
OWN = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class HttpProxy:
    """An async context manager: listens on `port` of 127.0.0.1 and passes on to `upstream` (an URL without path).

    `tls` is what clients see (None: plain HTTP), `trust` what the upstream's certificate is checked with. An upstream
    that does not answer is a reset connection.
    """

    def __init__(
        self,
        upstream: str,
        port: int,
        *,
        wording: Wording = plain,
        tls: ssl.SSLContext | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.rules = Rules()
        self.url = f"{'https' if tls else 'http'}://{HOST}:{port}"
        self._upstream = upstream.rstrip("/")
        self._port = port
        self._wording = wording
        self._tls = tls
        self._trust = trust

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._trust or True),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=OWN,
        )
        # cancellation: the upstream's watch ends when its client goes
        self._runner = web.ServerRunner(web.Server(self._serve, handler_cancellation=True), shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port, ssl_context=self._tls, reuse_address=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        rule = self.rules.strike(request.method, request.raw_path)
        if rule is not None and rule.kind in BEFORE:
            await request.content.read()
            return _made(self._wording(rule, request.raw_path), rule)
        if rule is not None and rule.kind is Kind.DOWN:
            return _reset(request)
        if rule is not None and rule.kind is Kind.SLOW:
            await asyncio.sleep(rule.seconds)
        if "upgrade" in request.headers.get("Connection", "").lower():
            return web.Response(status=501, text="lab.faults passes no upgrades on\n")
        try:
            return await self._forward(request, rule)
        except aiohttp.ClientError:
            return _reset(request)  # also in the middle of an answer: half of one is never made a whole

    async def _forward(self, request: web.BaseRequest, rule: Rule | None) -> web.StreamResponse:
        url = URL(self._upstream + request.raw_path, encoded=True)
        body = request.content if request.body_exists else None
        async with self._session.request(
            request.method, url, headers=_kept(request.headers), data=body, allow_redirects=False
        ) as answer:
            if rule is not None and rule.kind is Kind.LOST:
                await answer.read()
                return _reset(request)
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_kept(answer.headers))
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                if rule is not None and rule.kind is Kind.CUT:
                    await response.write(chunk[: len(chunk) // 2])
                    _transport(request).close()
                    return response
                await response.write(chunk)
            await response.write_eof()
            return response


def _kept(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in HOP_BY_HOP:
        kept.popall(name, None)
    return kept


def _made(made: Made, rule: Rule) -> web.Response:
    headers = {"Content-Type": made.content_type}  # as it is: aiohttp would add a charset, which servers do not send
    if made.status == 429:
        headers["Retry-After"] = f"{rule.seconds:.0f}"
    return web.Response(status=made.status, body=made.body.encode(), headers=headers)


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    _transport(request).abort()
    return web.Response()  # nobody hears it


def _transport(request: web.BaseRequest) -> asyncio.Transport:
    if request.transport is None:
        raise ConnectionResetError("the client has gone")
    return request.transport
