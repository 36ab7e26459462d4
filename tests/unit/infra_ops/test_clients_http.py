"""Whom the HTTP client trusts, what a no of a service is, and what becomes of unusual passwords."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest
from aiohttp import web

from infra_ops.clients.http import HttpError, HttpRefusal, Reply, call, part, wanted
from lab import pki
from tests.conformance.serving import Refusals, served
from tests.unit.infra_ops.web import serve


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    pki.issue(tmp_path)
    return tmp_path


def app() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.add_routes([web.get("/", hello)])
    return app


def test_an_authority_of_ones_own_is_trusted_when_it_is_named(
    certificates: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other one, nor for another name."""
    other = tmp_path_factory.mktemp("other")
    pki.issue(other)
    with served(app(), Refusals(), certificates / "openbao.crt") as url:
        for authority in ("", str(other / "ca.crt")):
            monkeypatch.setenv("INFRA_OPS_CACERT", authority)
            with pytest.raises(HttpError, match="does not answer: SSLError"):
                call("GET", url)
        monkeypatch.setenv("INFRA_OPS_CACERT", str(certificates / "ca.crt"))
        assert call("GET", url).status == 200
        found = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **named: found("127.0.0.1", *rest, **named))
        with pytest.raises(HttpError, match="does not answer: SSLError"):
            call("GET", url.replace("127.0.0.1", "elsewhere.example"))


def test_a_password_may_have_any_letters() -> None:
    seen: list[tuple[str, str]] = []
    with serve({"/": (200, {})}, seen) as address:
        call("GET", f"{address}/", login=("admin", "жöß"))
    assert base64.b64decode(seen[0][1].removeprefix("Basic ")).decode() == "admin:жöß"


@pytest.mark.parametrize(("status", "final"), [(400, True), (403, True), (409, False), (429, False), (500, False)])
def test_a_no_is_final_and_a_failure_is_not(status: int, final: bool) -> None:
    with pytest.raises(HttpError, match=f"x was answered by HTTP {status}") as told:
        wanted(Reply(status, {}), 200, what="x")
    assert isinstance(told.value, HttpRefusal) == final


@pytest.mark.parametrize("body", [None, "page", [], {}, {"users": []}, {"users": None}])
def test_an_answer_without_what_was_asked_for_is_one_sentence(body: object) -> None:
    with pytest.raises(HttpError, match="x was answered without .*: is something else at its address"):
        part(body, "users", 0, what="x")
