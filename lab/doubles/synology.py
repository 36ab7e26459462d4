"""`python -m lab.doubles.synology`: DSM 7 on a Synology NAS, as far as logins, users and Auto Block go.

Its API is not documented: names and codes are those that public clients use and that people saw (SYNO.API.Auth,
SYNO.Core.User, SYNO.Core.Security.AutoBlock). Errors come with HTTP status 200. The password of `--password-file` is
that of a first start. What an account is refused with after the right password stands in the state file: `refusal`, one
of 402, 408, 409, 410 and 411, and `otp`, its one-time code.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from lab.doubles.dsm_policy import DEFAULT_POLICY, accepts
from lab.doubles.passwords import hashed, matches
from lab.doubles.serving import Listener, log, logged, serve
from lab.doubles.statefile import State, StateFile

IDLE = 900.0  # seconds until a session ends
DAY = 86400
AUTO_BLOCK = {"enable": True, "attempts": 10, "within_mins": 5, "expire_day": 0}  # 0: blocked until somebody lifts it
SHOWN = ("description", "email", "expired", "cannot_chg_passwd", "passwd_never_expire", "password_last_change")
APIS = {
    "SYNO.API.Info": {"path": "query.cgi", "minVersion": 1, "maxVersion": 1},
    "SYNO.API.Auth": {"path": "entry.cgi", "minVersion": 1, "maxVersion": 7},
    **{
        name: {"path": "entry.cgi", "minVersion": 1, "maxVersion": 1, "requestFormat": "JSON"}
        for name in (
            "SYNO.Core.User",
            "SYNO.Core.User.PasswordPolicy",
            "SYNO.Core.Security.AutoBlock",
            "SYNO.Core.Security.AutoBlock.Rules",
        )
    },
}

User = dict[str, Any]
Answer = dict[str, Any] | None


class DsmError(Exception):
    """An error with DSM's code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Call:
    """One call: its parameters, wherever they stand, and who makes it."""

    def __init__(self, request: web.Request, parameters: dict[str, str]) -> None:
        self._parameters = parameters
        self.source = request.remote or ""
        self.sid = parameters.get("_sid") or request.cookies.get("id") or ""
        self.token = request.headers.get("X-SYNO-TOKEN") or parameters.get("SynoToken") or ""

    def raw(self, name: str) -> str:
        """A parameter as it was sent, empty where it was not."""
        return self._parameters.get(name, "")

    def value(self, name: str, default: Any = "") -> Any:
        """A parameter of an API whose format is JSON; DSM takes a text without its quotes too."""
        text = self._parameters.get(name)
        if text is None:
            return default
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return value if isinstance(value, type(default)) else text

    def name(self, name: str = "name") -> str:
        """A text that must be there. Raises DsmError 114, a missing parameter."""
        value = self.value(name)
        if not value:
            raise DsmError(114)
        return str(value)


class Dsm:
    """The service on one state file. `clock` gives seconds since 1970."""

    def __init__(self, state: StateFile, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        self._methods: dict[tuple[str, str], Callable[[Call, State], Answer]] = {
            ("SYNO.API.Info", "query"): self._info,
            ("SYNO.API.Auth", "login"): self._log_in,
            ("SYNO.API.Auth", "logout"): self._log_out,
            ("SYNO.Core.User", "get"): self._get_user,
            ("SYNO.Core.User", "set"): self._set_user,
            ("SYNO.Core.User.PasswordPolicy", "get"): self._get_policy,
            ("SYNO.Core.Security.AutoBlock", "get"): self._get_auto_block,
            ("SYNO.Core.Security.AutoBlock.Rules", "list"): self._list_rules,
            ("SYNO.Core.Security.AutoBlock.Rules", "create"): self._create_rule,
            ("SYNO.Core.Security.AutoBlock.Rules", "delete"): self._delete_rule,
        }

    def seed(self, password: str) -> bool:
        """Make the state of a first start, with the administrator `admin`; False when there was one."""
        state = {"autoblock": AUTO_BLOCK, "failures": {}, "rules": {"allow": [], "deny": {}}, "sessions": {}}
        policy = {"password_must_change": False, "strong_password": DEFAULT_POLICY}
        admin = {**new_user(password, self._today()), "uid": 1024, "description": "System default user", "admin": True}
        return self._state.create({**state, "policy": policy, "users": {"admin": admin}})

    def app(self) -> web.Application:
        app = web.Application(middlewares=[logged])
        app.add_routes([web.route("*", "/webapi/{program:entry|query|auth}.cgi", self._serve)])
        return app

    async def _serve(self, request: web.Request) -> web.Response:
        secret = {"passwd", "password", "otp_code"} & request.query.keys()
        if secret:
            log.error("REFUSED: %s with %s in the URL, where every log shows it", request.method, ", ".join(secret))
            raise web.HTTPBadRequest(text="A password in the URL is for everybody to read: send it by POST.")
        form = await request.post()
        fields = {name: value for name, value in {**request.query, **form}.items() if isinstance(value, str)}
        if (
            request.method != "POST"
            and fields.get("api") != "SYNO.API.Info"
            and fields.get("method") in ("login", "set")
        ):
            log.error("REFUSED: %s for a login or a change", request.method)
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        try:
            answer = self._answer(Call(request, fields))
        except DsmError as error:
            return web.json_response({"success": False, "error": {"code": error.code}})
        return web.json_response({"success": True} if answer is None else {"success": True, "data": answer})

    def _answer(self, call: Call) -> Answer:
        api, method = call.raw("api"), call.raw("method")
        if not api or not method:
            raise DsmError(101)
        if api not in APIS:
            raise DsmError(102)
        if (api, method) not in self._methods:
            raise DsmError(103)
        known, version = APIS[api], call.raw("version")
        if not version.isdecimal() or not int(str(known["minVersion"])) <= int(version) <= int(
            str(known["maxVersion"])
        ):
            raise DsmError(104)
        code = 0
        with self._state.changing() as state:
            try:
                answer = self._methods[api, method](call, state)
            except DsmError as error:
                code = error.code  # raised below: a refused login must be counted all the same
        if code:
            raise DsmError(code)
        return answer

    def _info(self, call: Call, _: State) -> Answer:
        asked = call.raw("query")
        names = APIS if asked.lower() == "all" else asked.split(",")
        return {name: APIS[name] for name in names if name in APIS}

    def _log_in(self, call: Call, state: State) -> Answer:
        self._refuse_if_blocked(call, state)
        account, password = call.raw("account"), call.raw("passwd")
        user = state["users"].get(account)
        refusal = user["refusal"] if user else 0
        if refusal == 411:  # a locked account is refused before anybody looks at the password
            raise DsmError(411)
        if user is None or not matches(password, user["password"]):
            self._count(call, state)
            raise DsmError(400)
        if user["expired"] == "now":
            raise DsmError(401)
        if user["otp"] and call.raw("otp_code") != user["otp"]:
            if not call.raw("otp_code"):
                raise DsmError(403)
            self._count(call, state)
            raise DsmError(404)
        if refusal:
            raise DsmError(refusal)
        sid, token = secrets.token_urlsafe(48), secrets.token_urlsafe(9)
        with_token = call.raw("enable_syno_token") == "yes"
        state["sessions"][sid] = {"user": account, "token": token if with_token else "", "used": self._clock()}
        data = {"account": account, "is_portal_port": False, "sid": sid}
        return {**data, "synotoken": token} if with_token else data

    def _log_out(self, call: Call, state: State) -> Answer:
        state["sessions"].pop(call.sid, None)  # DSM calls it a success for a session that nobody has, too
        return None

    def _get_user(self, call: Call, state: State) -> Answer:
        caller, name = self._caller(call, state), call.name()
        if name != caller["name"] and not caller["admin"]:
            raise DsmError(105)
        user = _find(state, name)
        wanted = call.value("additional", [])
        return {"users": [{"name": name, "uid": user["uid"], **{key: user[key] for key in SHOWN if key in wanted}}]}

    def _set_user(self, call: Call, state: State) -> Answer:
        """Writes all of a user: what is not sent back becomes blank."""
        caller, name = self._admin(call, state), call.name()
        user, new_name = _find(state, name), call.value("new_name") or name
        password = call.raw("password") and str(call.value("password"))
        if new_name != name and new_name in state["users"]:
            raise DsmError(3102)
        if password:
            if not accepts(state["policy"]["strong_password"], new_name, password, user["history"]):
                raise DsmError(3121)
            user["history"] = [user["password"], *user["history"]][:24]
            user["password"], user["password_last_change"] = hashed(password), self._today()
            if state["policy"]["password_must_change"] and name != caller["name"]:
                user["refusal"] = 410
        user["description"], user["email"] = str(call.value("description")), str(call.value("email"))
        user["expired"] = str(call.value("expired", "normal"))
        for flag in ("cannot_chg_passwd", "passwd_never_expire"):
            user[flag] = call.value(flag, False) is True
        state["users"][new_name] = state["users"].pop(name)
        return {"name": new_name, "uid": user["uid"]}

    def _get_policy(self, call: Call, state: State) -> Answer:
        self._admin(call, state)
        return dict(state["policy"])

    def _get_auto_block(self, call: Call, state: State) -> Answer:
        self._admin(call, state)
        return dict(state["autoblock"])

    def _list_rules(self, call: Call, state: State) -> Answer:
        self._admin(call, state)
        found = [{"ip": ip} for ip in state["rules"][self._kind(call)]]
        return {"ip_info": found, "offset": 0, "total": len(found)}

    def _create_rule(self, call: Call, state: State) -> Answer:
        self._admin(call, state)
        ip = call.name("ip")
        if self._kind(call) == "deny":
            state["rules"]["deny"][ip] = self._clock()
        elif ip not in state["rules"]["allow"]:
            state["rules"]["allow"].append(ip)
        return None

    def _delete_rule(self, call: Call, state: State) -> Answer:
        self._admin(call, state)
        ip = call.name("ip")
        if self._kind(call) == "deny":
            state["rules"]["deny"].pop(ip, None)
            state["failures"].pop(ip, None)
        elif ip in state["rules"]["allow"]:
            state["rules"]["allow"].remove(ip)
        return None

    def _kind(self, call: Call) -> str:
        kind = call.name("type")
        if kind not in ("allow", "deny"):
            raise DsmError(114)
        return kind

    def _refuse_if_blocked(self, call: Call, state: State) -> None:
        rules, days = state["rules"], state["autoblock"]["expire_day"]
        since = rules["deny"].get(call.source)
        if since is None or call.source in rules["allow"]:
            return
        if days and self._clock() - since >= days * DAY:
            del rules["deny"][call.source]
            return
        raise DsmError(407)

    def _count(self, call: Call, state: State) -> None:
        """Take note of a failed login; with the last that is allowed its address is blocked from the next on."""
        rule, now = state["autoblock"], self._clock()
        if not rule["enable"] or call.source in state["rules"]["allow"]:
            return
        recent = [each for each in state["failures"].get(call.source, []) if now - each < rule["within_mins"] * 60]
        state["failures"][call.source] = [*recent, now]
        if len(recent) + 1 >= rule["attempts"]:
            state["rules"]["deny"][call.source] = now
            log.warning("Auto Block: %s is blocked", call.source)

    def _caller(self, call: Call, state: State) -> User:
        """Whose session it is. Raises DsmError 119 without a session or its token, 106 for one that was left alone."""
        session = state["sessions"].get(call.sid)
        if session is None or session["token"] != (session["token"] and call.token):
            raise DsmError(119)
        if self._clock() - session["used"] >= IDLE or session["user"] not in state["users"]:
            del state["sessions"][call.sid]
            raise DsmError(106)
        session["used"] = self._clock()
        return {**state["users"][session["user"]], "name": session["user"]}

    def _admin(self, call: Call, state: State) -> User:
        caller = self._caller(call, state)
        if not caller["admin"]:
            raise DsmError(105)
        return caller

    def _today(self) -> int:
        return int(self._clock()) // DAY


def new_user(password: str, today: int) -> User:
    """An account as DSM makes it; `today` is in days since 1970."""
    user = {"password": hashed(password), "history": [], "admin": False, "refusal": 0, "otp": "", "uid": 1026}
    shown = {"description": "", "email": "", "expired": "normal", "password_last_change": today}
    return {**user, **shown, "cannot_chg_passwd": False, "passwd_never_expire": True}


def _find(state: State, name: str) -> User:
    if name not in state["users"]:
        raise DsmError(3106)
    user: User = state["users"][name]
    return user


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.doubles.synology", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="JSON file of users, sessions and blocked addresses")
    parser.add_argument("--password-file", type=Path, required=True, help="holds the password of a first start")
    parser.add_argument("--port", type=int, required=True, help="for HTTPS on 127.0.0.1")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file; the key is the .key beside it")
    arguments = parser.parse_args()
    dsm = Dsm(StateFile(arguments.state))
    dsm.seed(arguments.password_file.read_text())
    serve(dsm.app(), [Listener("127.0.0.1", arguments.port, arguments.certificate)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
