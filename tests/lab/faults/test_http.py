"""The proxy in front of an HTTP server: what passes untouched, and what each kind of fault looks like to a client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from lab.faults.answers import kubernetes, vault
from lab.faults.http import HttpProxy
from lab.faults.rules import Kind, Rule
from lab.ports import Ports


@dataclass
class Upstream:
    """A server that remembers what it was asked, and whether its watchers are still there."""

    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    watchers_gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append((request.method, request.raw_path, await request.read()))
        self.headers.append(dict(request.headers))
        if "watch=true" not in request.raw_path:
            return web.Response(body=bytes(range(256)), headers={"X-Own": "yes", "Content-Type": "application/x"})
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await response.write(b'{"type": "ADDED"}\n')
            await asyncio.sleep(60)
        finally:
            self.watchers_gone.set()
        return response


@dataclass
class Scene:
    proxy: HttpProxy
    upstream: Upstream
    client: aiohttp.ClientSession

    async def ask(self, method: str = "GET", path: str = "/a", **more: Any) -> tuple[int, bytes, dict[str, str]]:
        async with self.client.request(method, self.proxy.url + path, **more) as answer:
            return answer.status, await answer.read(), dict(answer.headers)


@asynccontextmanager
async def scene(**settings: Any) -> AsyncIterator[Scene]:
    upstream, ports = Upstream(), Ports()
    runner = web.ServerRunner(web.Server(upstream.serve, handler_cancellation=True), shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", ports.of("upstream")).start()
    try:
        async with (
            HttpProxy(f"http://127.0.0.1:{ports.of('upstream')}", ports.of("proxy"), **settings) as proxy,
            aiohttp.ClientSession() as client,
        ):
            yield Scene(proxy, upstream, client)
    finally:
        await runner.cleanup()


def play(scenario: Callable[[Scene], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), scene(**settings) as it:
            await scenario(it)

    asyncio.run(run())


def test_without_a_rule_everything_passes_untouched() -> None:
    async def scenario(it: Scene) -> None:
        status, body, headers = await it.ask(
            "PUT", "/a%2Fb?x=%20y", data=b"body\0", headers={"Authorization": "Bearer t"}
        )
        assert (status, body, headers["X-Own"]) == (200, bytes(range(256)), "yes")
        assert it.upstream.seen == [("PUT", "/a%2Fb?x=%20y", b"body\0")]
        assert it.upstream.headers[0]["Authorization"] == "Bearer t"

    play(scenario)


def test_a_watch_is_passed_on_as_it_comes_and_ends_with_its_client() -> None:
    async def scenario(it: Scene) -> None:
        async with it.client.get(it.proxy.url + "/pods?watch=true") as answer:
            assert await answer.content.readline() == b'{"type": "ADDED"}\n'
        await it.upstream.watchers_gone.wait()

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        (Kind.CONFLICT, 409, "Conflict"),
        (Kind.BUSY, 429, "TooManyRequests"),
        (Kind.ERROR, 500, "InternalError"),
        (Kind.EXPIRED, 410, "Expired"),
        (Kind.LOCKED, 401, "Unauthorized"),
    ],
)
def test_an_answer_in_the_servers_place_is_worded_as_its_own(kind: Kind, status: int, reason: str) -> None:
    async def scenario(it: Scene) -> None:
        with it.proxy.rules.on(Rule(kind=kind, seconds=7)) as rule:
            answered, body, headers = await it.ask("PATCH", data=b"x")
        assert (answered, json.loads(body)["reason"], json.loads(body)["code"]) == (status, reason, status)
        assert headers.get("Retry-After") == ("7" if kind is Kind.BUSY else None)
        assert (rule.hits, it.upstream.seen) == (1, [])

    play(scenario, wording=kubernetes)


def test_a_watch_that_is_too_old_gets_its_410_as_an_event() -> None:
    async def scenario(it: Scene) -> None:
        with it.proxy.rules.on(Rule(kind=Kind.EXPIRED)):
            status, body, _ = await it.ask(path="/pods?watch=true&resourceVersion=1")
        event = json.loads(body)
        assert (status, event["type"], event["object"]["code"]) == (200, "ERROR", 410)

    play(scenario, wording=kubernetes)


def test_openbao_says_400_where_kubernetes_says_409() -> None:
    async def scenario(it: Scene) -> None:
        with it.proxy.rules.on(Rule(kind=Kind.CONFLICT)):
            status, body, _ = await it.ask("POST")
        assert (status, json.loads(body)) == (
            400,
            {"errors": ["check-and-set parameter did not match the current version"]},
        )

    play(scenario, wording=vault)


def test_a_service_that_locks_out_answers_as_it_is_told() -> None:
    async def scenario(it: Scene) -> None:
        with it.proxy.rules.on(Rule(kind=Kind.LOCKED, status=429, body='{"error": "api_seats_exceeded"}')):
            assert (await it.ask())[:2] == (429, b'{"error": "api_seats_exceeded"}')

    play(scenario)


def test_slow_is_carried_out_late() -> None:
    async def scenario(it: Scene) -> None:
        begun = time.monotonic()
        with it.proxy.rules.on(Rule(kind=Kind.SLOW, seconds=0.3)):
            assert (await it.ask())[0] == 200
        assert time.monotonic() - begun >= 0.3

    play(scenario)


def test_lost_is_carried_out_and_down_is_not() -> None:
    async def scenario(it: Scene) -> None:
        for kind, carried_out in ((Kind.DOWN, 0), (Kind.LOST, 1)):
            with it.proxy.rules.on(Rule(kind=kind)) as rule, pytest.raises((aiohttp.ClientError, OSError)):
                await it.ask("POST", data=b"x")
            assert (rule.hits, len(it.upstream.seen)) == (1, carried_out)

    play(scenario)


@pytest.mark.parametrize("path", ["/whole", "/pods?watch=true"])
def test_cut_ends_in_the_middle(path: str) -> None:
    async def scenario(it: Scene) -> None:
        with it.proxy.rules.on(Rule(kind=Kind.CUT)):
            async with it.client.get(it.proxy.url + path) as answer:
                begun = await answer.content.read(4)
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.content.read()
        assert begun in (bytes(range(4)), b'{"ty')

    play(scenario)


def test_a_stopped_proxy_refuses_connections_and_comes_back_at_the_same_port() -> None:
    async def scenario(it: Scene) -> None:
        await it.ask()
        await it.proxy.__aexit__()
        with pytest.raises(aiohttp.ClientConnectorError):
            await it.ask()
        await it.proxy.__aenter__()
        assert (await it.ask())[0] == 200

    play(scenario)


def test_a_dead_server_is_a_reset_connection() -> None:
    async def scenario(it: Scene) -> None:
        it.proxy._upstream = "http://127.0.0.1:1"
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await it.ask()

    play(scenario)


def test_upgrades_are_refused_in_words() -> None:
    async def scenario(it: Scene) -> None:
        status, body, _ = await it.ask(headers={"Connection": "Upgrade", "Upgrade": "websocket"})
        assert (status, body) == (501, b"lab.faults passes no upgrades on\n")

    play(scenario)
