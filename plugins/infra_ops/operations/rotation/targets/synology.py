"""An administrator of a Synology NAS (DSM 7), by its undocumented web API. Always POST: a GET shows the password.

Wrong logins are counted by source address, for every protocol together, and a blocked address is that of a whole node.
NFS mounts do not use this password. Facts: security-and-backup 2.6.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeGuard

from infra_ops.clients import http
from infra_ops.models.credentials import Answer, Credential, Login
from infra_ops.models.problems import Problem
from infra_ops.models.services import Synology
from infra_ops.operations.rotation.passwords import LENGTH, Rules
from infra_ops.operations.rotation.targets.swap import Swap
from infra_ops.operations.rotation.targets.target import Budget, CannotRotate

WRONG = 400
# Other codes of a login that say nothing about the password.
CODES = {
    401: "the account is disabled",
    402: "no permission",
    403: "wants a second factor",
    404: "wants a second factor",
    406: "wants a second factor",
    407: "this address is blocked",
    408: "the password has expired",
    409: "the password has expired",
    410: "the password must be changed",
    411: "the account is locked",
}
# The proof makes two; a run that is killed in it and started again must not be the one too many.
FEWEST = 4
# What `set` would blank if it were not sent back.
KEPT = ("description", "email", "expired", "cannot_chg_passwd", "passwd_never_expire")


class DsmError(Problem):
    """DSM refused a call; the text has its code."""


class SynologyTarget(Swap):
    budget: Budget = Budget(wrong=10, within=timedelta(minutes=5))  # DSM's own default of Auto Block

    def __init__(self, spec: Synology) -> None:
        self._url = f"{spec.url}/webapi/entry.cgi"
        self.where = f"DSM {spec.url}"

    def log_in(self, username: str, password: str) -> Login:
        try:
            answer = self._log_in(username, password)
            if answer["success"]:
                self._log_out(answer["data"])
                return Login(Answer.ACCEPTED, "")
            code = answer["error"]["code"]
        except http.HttpError as error:
            return http.no_answer(error)
        if code == WRONG:
            return Login(Answer.REFUSED, str(code))
        return Login(Answer.UNREACHABLE, f"{code} {CODES.get(code, '')}".rstrip())

    def set_password(self, login: Credential, new: Credential) -> None:
        with self._session(login) as session:
            found = self._ask("SYNO.Core.User", 1, "get", session, name=new.username, additional=KEPT)
            user = http.part(found, "users", 0, what=f"{self.where}: the user {new.username}")
            kept = {name: user[name] for name in KEPT if name in user}
            self._ask("SYNO.Core.User", 1, "set", session, name=new.username, password=new.password, **kept)

    def refuse_if_unsupported(self, login: Credential) -> None:
        with self._session(login) as session:
            block = self._ask("SYNO.Core.Security.AutoBlock", 1, "get", session)
        if not block.get("enable"):
            return
        what = f"{self.where}: its Auto Block"
        attempts, minutes = (int(http.part(block, name, what=what)) for name in ("attempts", "within_mins"))
        window = timedelta(minutes=minutes)
        if attempts <= FEWEST or window > self.budget.within:
            raise CannotRotate(
                f"{self.where} blocks an address after {attempts} wrong logins within {minutes} minutes, "
                f"and the proof makes two: allow more than {FEWEST} within {self.budget.within.seconds // 60} in "
                "Control Panel > Security > Protection first."
            )

    def rules(self, login: Credential) -> Rules:
        """A special character always: policies may want one, and none forbids it."""
        with self._session(login) as session:
            policy = self._ask("SYNO.Core.User.PasswordPolicy", 1, "get", session)
        least = int(policy.get("strong_password", {}).get("min_length", 0))
        return Rules(max(LENGTH, least), special="-_.")

    def _log_in(self, username: str, password: str) -> dict[str, Any]:
        return self._call(
            api="SYNO.API.Auth",
            version="6",
            method="login",
            account=username,
            passwd=password,
            format="sid",
            enable_syno_token="yes",  # noqa: S106
        )

    def _log_out(self, session: dict[str, Any]) -> None:
        self._ask("SYNO.API.Auth", 6, "logout", session)

    @contextmanager
    def _session(self, login: Credential) -> Iterator[dict[str, Any]]:
        answer = self._log_in(login.username, login.password)
        if not answer["success"]:
            raise DsmError(f"{self.where} refused the login of {login.username} with code {answer['error']['code']}.")
        try:
            yield answer["data"]
        finally:
            self._log_out(answer["data"])

    def _ask(self, api: str, version: int, method: str, session: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """One call in a session; its fields are JSON, as DSM's own pages send them."""
        token = {"_sid": session["sid"], "SynoToken": session.get("synotoken", "")}
        encoded = {name: json.dumps(value) for name, value in fields.items()}
        answer = self._call(api=api, version=str(version), method=method, **token, **encoded)
        if not answer["success"]:
            raise DsmError(f"{self.where} refused {api} {method} with code {answer['error']['code']}.")
        data: dict[str, Any] = answer.get("data") or {}
        return data

    def _call(self, **form: str) -> dict[str, Any]:
        answer = http.wanted(http.call("POST", self._url, form=form), 200, what=f"{self.where}: {form['api']}")
        if not _is_dsms(answer):
            raise http.HttpError(f"{self.where} does not speak DSM's web API: no answer of its kind.")
        return answer


def _is_dsms(answer: Any) -> TypeGuard[dict[str, Any]]:
    """A success, or an error by its number: whatever else a number's place holds may quote what was sent."""
    if not isinstance(answer, dict) or "success" not in answer:
        return False
    error = answer.get("error")
    return bool(answer["success"]) or (isinstance(error, dict) and isinstance(error.get("code"), int))
