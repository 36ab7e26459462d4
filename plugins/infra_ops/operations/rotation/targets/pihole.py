"""Pi-hole, version 6: one password, set through its API. Name resolution never depends on it.

A login takes one of 16 seats for half an hour, so each is given back. A change ends all sessions.
Facts: security-and-backup 2.2; https://docs.pi-hole.net/api/auth/
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from infra_ops.clients import http
from infra_ops.models.credentials import Answer, Credential, Login
from infra_ops.models.services import Pihole
from infra_ops.operations.rotation.targets.swap import Swap, Undecided
from infra_ops.operations.rotation.targets.target import Budget, CannotRotate


class PiholeTarget(Swap):
    budget = Budget(wrong=3, within=timedelta(seconds=1))

    def __init__(self, spec: Pihole) -> None:
        self._url = spec.url
        self.where = f"Pi-hole {spec.url}"

    def refuse_if_unsupported(self, login: Credential) -> None:
        reply = http.call("GET", f"{self._url}/api/auth")
        if isinstance(reply.body, dict) and "session" in reply.body:
            return
        old = http.call("GET", f"{self._url}/admin/api.php?version")
        if old.status == 200:
            raise CannotRotate(
                f"{self.where} is of version 5, whose only way to a new password shows it on a command line "
                "(pihole -a -p): upgrade it to version 6 first."
            )
        raise CannotRotate(f"{self.where} answers neither as version 6 nor as version 5 does: is this its address?")

    def log_in(self, username: str, password: str) -> Login:
        try:
            reply = self._ask("POST", json={"password": password})
            if reply.status == 200:
                return self._given_back(http.part(reply.body, "session", what="the login"))
        except http.HttpError as error:
            return http.no_answer(error)
        if reply.status == 429:
            return Login(Answer.UNREACHABLE, f"429 {_key(reply)}")
        return http.judged(reply, accepted=200)

    def set_password(self, login: Credential, new: Credential) -> None:
        if not new.password:
            raise Undecided(f"{self.where}: an empty password would let everybody in; nothing was set.")
        what = f"{self.where}: the login"
        answer = http.wanted(self._ask("POST", json={"password": login.password}), 200, what=what)
        sid = http.part(answer, "session", "sid", what=what)
        reply = http.call(
            "PATCH",
            f"{self._url}/api/config",
            headers={"X-FTL-SID": sid},
            json={"config": {"webserver": {"api": {"password": new.password}}}},
        )
        if reply.status == 400:
            self._leave(sid)
            raise CannotRotate(
                f"{self.where} refuses a new password ({_key(reply)}): where FTLCONF_webserver_api_password sets it, "
                "it is read-only. Remove that variable first."
            )
        http.wanted(reply, 200, what=f"{self.where}: a new password")

    def _given_back(self, session: dict[str, Any]) -> Login:
        if not session.get("sid"):
            return Login(Answer.UNREACHABLE, "no password is set, so everybody is let in")
        self._leave(session["sid"])
        return Login(Answer.ACCEPTED, "200")

    def _leave(self, sid: str) -> None:
        self._ask("DELETE", headers={"X-FTL-SID": sid})

    def _ask(self, method: str, **arguments: Any) -> http.Reply:
        return http.call(method, f"{self._url}/api/auth", **arguments)


def _key(reply: http.Reply) -> str:
    """Pi-hole's own word for what is wrong. Whatever is no such word may quote what was sent."""
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    key = str(error.get("key", "")) if isinstance(error, dict) else ""
    return key if re.fullmatch("[a-z_]+", key) else f"HTTP {reply.status}"
