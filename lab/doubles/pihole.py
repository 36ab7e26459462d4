"""`python -m lab.doubles.pihole`: Pi-hole as far as its API's password goes: v6, or v5 in so far as one can tell it.

The password of `--password-file` is that of a first start. FTLCONF_webserver_api_password in the environment sets it at
each start and makes it read-only; once that variable has gone there is no password, and then anybody is let in.

Codes and messages are those of FTL's sources (src/api/auth.c, src/api/config.c, src/config/password.c).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from lab.doubles.passwords import hashed, matches
from lab.doubles.serving import Listener, logged, serve
from lab.doubles.statefile import State, StateFile

SEATS = 16
VALIDITY = 1800  # seconds without a request
WRONG_A_SECOND = 3  # over all clients
HIDDEN = "********"  # what a password is shown as; writing it back changes nothing
FORCED = "FTLCONF_webserver_api_password"


class PiHole:
    """The service on one state file. `clock` gives seconds since 1970, `https_port` is what it tells about itself."""

    def __init__(self, state: StateFile, clock: Callable[[], float] = time.time, https_port: int = 443) -> None:
        self._state = state
        self._clock = clock
        self._https_port = https_port
        self._second, self._attempts = 0, 0  # of the rate limit; a restart forgets them

    def start(self, password: str, forced: str | None = None) -> None:
        """Make the state of a first start, and obey the environment: `forced` is its password."""
        self._state.create({"password": _hash(password), "forced": False, "sessions": {}})
        with self._state.changing() as state:
            if forced is not None or state["forced"]:
                state["password"] = _hash(forced or "")
            state["forced"] = forced is not None

    def app(self) -> web.Application:
        app = web.Application(middlewares=[logged])
        app.add_routes(
            [
                web.get("/api/info/login", self._info),
                web.get("/api/auth", self._show),
                web.post("/api/auth", self._log_in),
                web.delete("/api/auth", self._log_out),
                web.get("/api/config", self._show_config),
                web.patch("/api/config", self._change_config),
                web.route("*", "/api/{path:.*}", _unknown),
            ]
        )
        return app

    async def _info(self, _: web.Request) -> web.Response:
        return _json({"dns": True, "https_port": self._https_port})

    async def _show(self, request: web.Request) -> web.Response:
        return self._status(*self._session(request))

    async def _log_in(self, request: web.Request) -> web.Response:
        body = await _body(request)
        if "password" not in body:
            return _error(400, "bad_request", "No password found in JSON payload")
        password = body["password"]
        if not isinstance(password, str):
            return _error(400, "bad_request", "Field password has to be of type 'string'")
        sid, message = self._session(request)
        if sid is not None and not password:
            return self._status(sid, message)
        with self._state.changing() as state:
            if not state["password"]:  # no password, so whatever it is, it "is valid": the message alone tells
                return self._status("", "password incorrect" if password else "no password set")
            right = self._verify(password, state)
            if right:
                return self._seat(state)
        if right is None:
            await asyncio.sleep(0.25)  # as FTL does
            return _error(429, "rate_limiting", "Rate-limiting login attempts")
        return self._status(sid, "password incorrect")

    def _verify(self, password: str, state: State) -> bool | None:
        """Whether the password is right; None when too many were wrong within this second, and it was not looked at."""
        now = int(self._clock())
        if now == self._second:
            self._attempts += 1
            if self._attempts > WRONG_A_SECOND:
                return None
        else:
            self._second, self._attempts = now, 1
        right = bool(password) and matches(password, state["password"])
        if right:
            self._attempts -= 1
        return right

    def _seat(self, state: State) -> web.Response:
        now = self._clock()
        state["sessions"] = {sid: until for sid, until in state["sessions"].items() if until >= now}
        if len(state["sessions"]) >= SEATS:
            hint = "increase webserver.api.max_sessions"
            return _error(429, "api_seats_exceeded", "API seats exceeded", hint)
        sid = base64.b64encode(secrets.token_bytes(16)).decode()
        state["sessions"][sid] = now + VALIDITY
        return self._status(sid, "password correct")

    async def _log_out(self, request: web.Request) -> web.Response:
        sid, message = self._session(request)
        if not sid:  # also without any password: nobody has a session to end
            return self._status(sid, message, status=401)
        with self._state.changing() as state:
            gone = state["sessions"].pop(sid, None)
        return web.Response(status=404 if gone is None else 204)

    async def _show_config(self, request: web.Request) -> web.Response:
        if self._session(request)[0] is None:
            return _unauthorized()
        return self._config(detailed=request.query.get("detailed") == "true")

    async def _change_config(self, request: web.Request) -> web.Response:
        if self._session(request)[0] is None:
            return _unauthorized()
        config = (await _body(request)).get("config")
        if config is None:
            return _error(400, "body_error", 'No "config" object in body data')
        try:
            password = config["webserver"]["api"]["password"]
        except (KeyError, TypeError):
            return self._config()  # other settings are none of this double's business
        if not isinstance(password, str):
            return _error(400, "bad_request", "Config item is invalid", "webserver.api.password")
        with self._state.changing() as state:
            if state["forced"]:
                message = "Config items set via environment variables cannot be changed via the API"
                return _error(400, "bad_request", message, "webserver.api.password")
            if password != HIDDEN:
                state["password"] = _hash(password)
                state["sessions"] = {}  # everybody's, the caller's too
        return self._config()

    def _config(self, *, detailed: bool = False) -> web.Response:
        state = self._state.read()
        shown: Any = HIDDEN if state["password"] else ""
        if detailed:
            shown = {"value": shown, "default": "", "modified": bool(shown), "flags": {"env_var": state["forced"]}}
        return _json({"config": {"webserver": {"api": {"password": shown}}}})

    def _session(self, request: web.Request) -> tuple[str | None, str]:
        """The caller's session id and FTL's message: None without a valid one, "" where no password is set."""
        sid = request.headers.get("sid") or request.headers.get("X-FTL-SID")
        with self._state.changing() as state:
            if not state["password"]:
                return "", "no password set"
            if not sid:
                return None, "no SID provided"
            if sid not in state["sessions"]:
                return None, "session unknown"
            if state["sessions"][sid] < self._clock():
                return None, "session expired"
            state["sessions"][sid] = self._clock() + VALIDITY
        return sid, "correct password"

    def _status(self, sid: str | None, message: str, status: int = 200) -> web.Response:
        session = {
            "valid": sid is not None,
            "totp": False,
            "sid": sid or None,
            "validity": VALIDITY if sid else -1,
            "message": message,
        }
        return _json({"session": session}, status=401 if sid is None else status)


class PiHole5:
    """v5 as one tells it from v6: it has the old API and not the new one. Its password is the command line's."""

    def app(self) -> web.Application:
        app = web.Application(middlewares=[logged])
        app.add_routes([web.get("/admin/api.php", self._api)])
        return app

    async def _api(self, request: web.Request) -> web.Response:
        """Without a login it tells its own version and nothing else."""
        return web.json_response({"version": 3} if "version" in request.query else [])


def _hash(password: str) -> str:
    """An empty password is no password."""
    return hashed(password) if password else ""


def _json(content: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response({**content, "took": 0.0001}, status=status)


def _error(status: int, key: str, message: str, hint: str | None = None) -> web.Response:
    return _json({"error": {"key": key, "message": message, "hint": hint}}, status)


def _unauthorized() -> web.Response:
    return _error(401, "unauthorized", "Unauthorized")


async def _unknown(request: web.Request) -> web.Response:
    return _error(404, "not_found", "Not found", request.path)


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON body. Raises HTTPBadRequest in FTL's words."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        refusal = _error(400, "bad_request", "Invalid request body data (no valid JSON), error at hint")
        raise web.HTTPBadRequest(text=refusal.text, content_type="application/json")
    return body


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.doubles.pihole", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="JSON file of the password's hash and the sessions")
    parser.add_argument("--password-file", type=Path, required=True, help="holds the password of a first start")
    parser.add_argument("--port", type=int, required=True, help="for HTTP on 127.0.0.1")
    parser.add_argument("--https-port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file; the key is the .key beside it")
    parser.add_argument("--version", type=int, choices=(5, 6), default=6)
    arguments = parser.parse_args()
    if arguments.version == 5:
        app = PiHole5().app()
    else:
        pihole = PiHole(StateFile(arguments.state), https_port=arguments.https_port)
        pihole.start(arguments.password_file.read_text(), os.environ.get(FORCED))
        app = pihole.app()
    address = "127.0.0.1"
    serve(app, [Listener(address, arguments.port), Listener(address, arguments.https_port, arguments.certificate)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
