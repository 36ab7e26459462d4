"""Servers that fail at each kind of request in each way, and that quote in their answers what they were asked.

A run meets one failure: the first request that has not met every fault yet, and all like it until the run ends. So runs
that are started again and again, each going on where the last one failed, meet all of them.
"""

from __future__ import annotations

import asyncio
import json
import re
import struct
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from structlog.tracebacks import ExceptionDictTransformer
from yarl import URL

from lab.faults.http import HttpProxy, _kept, _reset
from lab.faults.postgres import PARSE, QUERY, READY, PostgresProxy, _error, _message, _statement
from lab.faults.rules import Kind, Rule, Rules
from tests.lab.end_to_end.leaks import hits

SYNC = b"S"
VERIFIER = "SCRAM-SHA-256$4096:"  # how each of PostgreSQL's begins
# Made anew by each run.
UNLIKE = re.compile(r"(?<=version=)\d+|(?<=')SCRAM-SHA-256[^']*|app[0-9a-f]{8}|test-[0-9a-f]{10}|token-\d+")


@dataclass(frozen=True)
class Fault:
    """An answer in a server's place; without a status the connection is reset. `body` makes it from the request."""

    name: str
    status: int
    body: Callable[[str], str] = lambda request: ""


def everywhere(request: str) -> str:
    """The request in each field in which one of the servers has words."""
    error = {"key": request, "message": request, "hint": request, "code": request}
    words = {"message": request, "messageId": request, "detail": request, "title": request, "reason": request}
    return json.dumps({"kind": "Status", "success": False, "error": error, "errors": [request], **words})


def page(request: str) -> str:
    return f"<html><body>Your request could not be served:<pre>{request}</pre></body></html>"


DOWN, ERROR = Fault("down", 0), Fault("500 quoting", 500, everywhere)
NONSENSE = Fault("200 page", 200, page)
# For requests that hold a secret.
MANY = (
    *(DOWN, ERROR, NONSENSE),
    *(Fault(f"{status} quoting", status, everywhere) for status in (200, 201, 400, 401, 403, 422, 429)),
)
FEW = (ERROR, NONSENSE)


@dataclass
class Spoiler:
    """Decides what is spoilt. `secrets` are the values known so far, by name."""

    secrets: dict[str, str]
    on: bool = False
    chosen: tuple[str, Fault] | None = None
    met: dict[str, int] = field(default_factory=dict)
    """How many faults each kind of request has met."""

    def begin(self) -> None:
        """A new run; nothing is spoilt before it is switched `on`."""
        self.chosen, self.on = None, False

    def fault(self, place: str, what: str, request: str, faults: Sequence[Fault] = ()) -> Fault | None:
        """The fault of this request, None when it may pass. `faults` are those that its server can have."""
        if not self.on:
            return None
        held = ", ".join(sorted({hit.partition(" (")[0] for hit in hits(self.secrets, [("", request.encode())])}))
        name = UNLIKE.sub("…", f"{place}: {what}{f' with {held}' if held else ''}")
        if self.chosen is None:
            faults, met = faults or (MANY if held else FEW), self.met.get(name, 0)
            if met == len(faults):
                return None
            self.met[name] = met + 1
            self.chosen = name, faults[met]
        return self.chosen[1] if self.chosen[0] == name else None


class SpoiltHttp(HttpProxy):
    """In front of a server that speaks HTTP. What a request holds are its headers and its body."""

    def __init__(self, place: str, spoiler: Spoiler, upstream: str, port: int, **tls: Any) -> None:
        super().__init__(upstream, port, **tls)
        self._place, self._spoiler = place, spoiler

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
        text = f"{request.method} {request.raw_path}\n{headers}\n{body.decode(errors='replace')}"
        path = request.raw_path.partition("?limit")[0]
        form = re.search(r"api=([\w.]+).*method=(\w+)", body.decode(errors="replace"))  # DSM has one path for all
        what = f"{request.method} {path}{f' {form[1]} {form[2]}' if form else ''}"
        fault = self._spoiler.fault(self._place, what, text)
        if fault is None:
            url = URL(self._upstream + request.raw_path, encoded=True)
            async with self._session.request(
                request.method, url, headers=_kept(request.headers), data=body, allow_redirects=False
            ) as answer:
                return web.Response(status=answer.status, headers=_kept(answer.headers), body=await answer.read())
        if not fault.status:
            return _reset(request)
        kind = "application/json" if fault.body is everywhere else "text/html"
        # without a charset, which aiohttp would add: clients look for the JSON of their servers
        return web.Response(status=fault.status, body=fault.body(text).encode(), headers={"Content-Type": kind})


class SpoiltPostgres(PostgresProxy):
    """In front of PostgreSQL: its errors quote the statement, and end it but not the session."""

    def __init__(self, spoiler: Spoiler, upstream: tuple[str, int], port: int) -> None:
        super().__init__(upstream, port)
        self.rules = _Logins(spoiler)
        self._spoiler = spoiler

    async def _statements(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
        down: asyncio.Task[None],
    ) -> None:
        while message := await _message(reader):
            kind, text = message[:1], _statement(message)
            what = " ".join(text.split())[:60]
            fault = self._spoiler.fault("service", what, text, (DOWN, ERROR)) if kind in (QUERY, PARSE) else None
            if fault is None:
                upstream_writer.write(message)
                await upstream_writer.drain()
                continue
            if not fault.status:
                writer.transport.abort()
                raise ConnectionAbortedError("spoilt")
            writer.write(_error("XX000", f'cannot carry out "{text}"').replace(b"FATAL", b"ERROR"))
            while kind == PARSE and message[:1] != SYNC:  # what else belongs to a prepared statement is passed over
                message = await _message(reader)
            writer.write(READY + struct.pack("!ic", 5, b"I" if kind == PARSE else b"E"))
            await writer.drain()
        upstream_writer.write_eof()


class _Logins(Rules):
    def __init__(self, spoiler: Spoiler) -> None:
        super().__init__()
        self._spoiler = spoiler

    def strike(self, method: str, path: str) -> Rule | None:
        fault = self._spoiler.fault("service", f"{method} {path}", path, (DOWN, ERROR))
        return Rule.model_validate({"kind": Kind.ERROR if fault.status else Kind.DOWN}) if fault else None


def printed(error: BaseException) -> bytes:
    """All that is printed of an exception: as Python does, and as Airflow 3.0.2 writes it into task logs.

    Both go along the chain of causes and leave out what `from None` cuts off; neither shows local variables
    (airflow/sdk/log.py: ExceptionDictTransformer with show_locals=False).
    """
    by_airflow = ExceptionDictTransformer(use_rich=False, show_locals=False)
    in_log = json.dumps(by_airflow((type(error), error, error.__traceback__)), default=str)
    return ("".join(traceback.format_exception(error)) + in_log).encode()
