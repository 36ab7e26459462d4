"""`python -m lab.doubles.grafana --state FILE`: Grafana 11, as far as logins and passwords go.

Configured by Grafana's own variables. GF_SECURITY_ADMIN_USER and GF_SECURITY_ADMIN_PASSWORD only make the administrator
of a first start: with a state file they are ignored, as Grafana ignores them with a database. The address is
GF_SERVER_HTTP_ADDR and GF_SERVER_HTTP_PORT.

Codes and messages are those of Grafana's sources (pkg/services/authn/clients/password.go, pkg/api/admin_users.go,
pkg/services/user/password.go, pkg/services/loginattempt).
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import BasicAuth, web

from lab.doubles.passwords import hashed, matches
from lab.doubles.serving import Listener, logged, serve
from lab.doubles.statefile import State, StateFile

VERSION = "11.5.2"
ATTEMPTS = 5
WINDOW = 300.0  # seconds
SHORTEST = 4  # characters of a password, without Grafana's strong password policy
COOKIE = "grafana_session"

User = dict[str, Any]


class Refused(Exception):
    """A request that is answered with an error; `name` is Grafana's own id of it."""

    def __init__(self, status: int, message: str, name: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.name = status, message, name


class Grafana:
    """The service on one state file. `clock` gives seconds since 1970."""

    def __init__(self, state: StateFile, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock

    def seed(self, login: str, password: str) -> bool:
        """Make the administrator of a first start; False when there was one."""
        admin = {"id": 1, "login": login, "password": hashed(password), "admin": True}
        return self._state.create({"users": [admin], "attempts": [], "sessions": {}})

    def app(self) -> web.Application:
        app = web.Application(middlewares=[logged, _refusals])
        app.add_routes(
            [
                web.get("/api/health", self._health),
                web.post("/login", self._log_in),
                web.get("/api/user", self._show_user),
                web.put("/api/user/password", self._change_own_password),
                web.put("/api/admin/users/{id}/password", self._set_password),
                web.post("/api/admin/users/{id}/logout", self._log_out),
                web.post("/api/admin/provisioning/{what:dashboards|datasources}/reload", self._reload),
            ]
        )
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"commit": "lab", "database": "ok", "version": VERSION})

    async def _log_in(self, request: web.Request) -> web.Response:
        """The login form, which makes a session that outlives a change of the user's own password."""
        body = await _body(request)
        user = self._checked(_text(body, "user"), _text(body, "password"))
        token = secrets.token_hex(16)
        with self._state.changing() as state:
            state["sessions"][token] = user["id"]
        answer = web.json_response({"message": "Logged in", "redirectUrl": "/"})
        answer.set_cookie(COOKIE, token, httponly=True, samesite="Lax")
        return answer

    async def _show_user(self, request: web.Request) -> web.Response:
        user = self._caller(request)
        shown = {"id": user["id"], "login": user["login"], "isGrafanaAdmin": user["admin"]}
        return web.json_response({**shown, "email": f"{user['login']}@localhost", "orgId": 1, "isDisabled": False})

    async def _change_own_password(self, request: web.Request) -> web.Response:
        caller, body = self._caller(request), await _body(request)
        old, new = _text(body, "oldPassword"), _text(body, "newPassword")
        with self._state.changing() as state:
            user = _find(state, caller["id"])
            if not matches(old, user["password"]):
                raise Refused(401, "Invalid old password")  # and no login attempt: it never locks anybody
            if len(new) < SHORTEST:
                raise Refused(400, "New password is too short", "password.password-policy-too-short")
            user["password"] = hashed(new)
        return web.json_response({"message": "User password changed"})

    async def _set_password(self, request: web.Request) -> web.Response:
        """As server admin. It ends the user's sessions and forgives his login attempts, the other way does neither."""
        self._admin(request)
        new = _text(await _body(request), "password")
        with self._state.changing() as state:
            user = _find(state, _id(request))
            if len(new) < SHORTEST:
                raise Refused(500, "Failed to update user password")  # this way the reason is in Grafana's log only
            user["password"] = hashed(new)
            state["attempts"] = [each for each in state["attempts"] if each[0] != user["login"].lower()]
            _end_sessions(state, user["id"])
        return web.json_response({"message": "User password updated"})

    async def _log_out(self, request: web.Request) -> web.Response:
        if self._admin(request)["id"] == _id(request):
            raise Refused(400, "You cannot logout yourself")
        with self._state.changing() as state:
            _end_sessions(state, _find(state, _id(request))["id"])
        return web.json_response({"message": "User logged out"})

    async def _reload(self, request: web.Request) -> web.Response:
        self._admin(request)
        return web.json_response({"message": f"{request.match_info['what'].capitalize()} config reloaded"})

    def _admin(self, request: web.Request) -> User:
        user = self._caller(request)
        if not user["admin"]:
            raise Refused(403, "You'll need additional permissions to perform this action.", "")
        return user

    def _caller(self, request: web.Request) -> User:
        """Who asks, by basic auth or by the cookie of a session. Raises Refused."""
        header = request.headers.get("Authorization")
        if header is not None:
            try:
                login = BasicAuth.decode(header, encoding="utf-8")
            except ValueError:
                raise Refused(401, "Unauthorized", "auth.unauthorized") from None
            return self._checked(login.login, login.password)
        state = self._state.read()
        user_id = state["sessions"].get(request.cookies.get(COOKIE, ""))
        if user_id is None:
            raise Refused(401, "Unauthorized", "auth.unauthorized")
        return _find(state, user_id)

    def _checked(self, login: str, password: str) -> User:
        """The user of a right login. A lock is by name, holds for the right password too, and outlives a restart."""
        now, name = self._clock(), login.lower()
        with self._state.changing() as state:
            state["attempts"] = [each for each in state["attempts"] if now - each[1] < WINDOW]
            if sum(each[0] == name for each in state["attempts"]) >= ATTEMPTS:
                raise Refused(401, "Invalid username or password", "login-attempt.blocked")
            if not password:
                raise Refused(400, "Invalid username or password", "password-auth.empty")
            user: User | None = next((user for user in state["users"] if user["login"].lower() == name), None)
            if user is not None and matches(password, user["password"]):
                return user
            if user is not None:  # a name that nobody has is never locked
                state["attempts"].append([name, now])
        raise Refused(401, "Invalid username or password", "password-auth.failed")


@web.middleware
async def _refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except Refused as refused:
        body: dict[str, Any] = {"message": refused.message}
        if refused.name:
            body |= {"extra": None, "messageId": refused.name, "statusCode": refused.status, "traceID": ""}
        return web.json_response(body, status=refused.status)
    return answer


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(400, "bad request data")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    """A field, empty where it is missing, as Go decodes it."""
    value = body.get(name, "")
    if not isinstance(value, str):
        raise Refused(400, "bad request data")
    return value


def _id(request: web.Request) -> int:
    try:
        return int(request.match_info["id"])
    except ValueError:
        raise Refused(400, "id is invalid") from None


def _find(state: State, user_id: int) -> User:
    for user in state["users"]:
        if user["id"] == user_id:
            found: User = user
            return found
    raise Refused(404, "user not found")


def _end_sessions(state: State, user_id: int) -> None:
    state["sessions"] = {token: owner for token, owner in state["sessions"].items() if owner != user_id}


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.doubles.grafana", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="JSON file of users and login attempts")
    arguments = parser.parse_args()
    grafana = Grafana(StateFile(arguments.state))
    login = os.environ.get("GF_SECURITY_ADMIN_USER") or "admin"
    fresh = grafana.seed(login, os.environ.get("GF_SECURITY_ADMIN_PASSWORD") or "admin")
    made = f"administrator {login} made"
    print(made if fresh else "GF_SECURITY_ADMIN_PASSWORD is ignored: there are users already", flush=True)
    address = os.environ.get("GF_SERVER_HTTP_ADDR") or "127.0.0.1"
    serve(grafana.app(), [Listener(address, int(os.environ.get("GF_SERVER_HTTP_PORT") or 3000))])
    return 0


if __name__ == "__main__":
    sys.exit(main())
