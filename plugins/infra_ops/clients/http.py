"""Services that speak HTTP: one request at a time, and logins that tell a refusal from silence.

The usual authorities are trusted, and those in the file that INFRA_OPS_CACERT names: services at home have their own.
Nothing of the machine's own set-up counts (.netrc would log in as somebody else).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from infra_ops.models.credentials import Answer, Login
from infra_ops.models.problems import Problem, Refusal

SECONDS = 10
PASSING = {408, 409, 425, 429}  # refusals that the next try may not get


class HttpError(Problem):
    """A service did not answer, or not as it should. The text names it and never quotes what was sent."""


class HttpRefusal(HttpError, Refusal):
    """The service understood and said no: asking again as it is cannot help."""


@dataclass(frozen=True)
class Reply:
    """An answer: its status, and its JSON; None when it has none."""

    status: int
    body: Any


def call(
    method: str,
    url: str,
    *,
    login: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    form: Mapping[str, str] | None = None,
) -> Reply:
    """One request; `login` is a basic authentication. Raises HttpError when there is no answer."""
    with requests.Session() as session:
        session.trust_env = False
        bundle = os.environ.get("INFRA_OPS_CACERT", "")
        if bundle:
            session.mount("https://", _Trusting(bundle))
        basic = HTTPBasicAuth(login[0].encode(), login[1].encode()) if login else None  # text is taken for Latin-1
        try:
            response = session.request(
                method, url, auth=basic, headers=headers, json=json, data=form, timeout=SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:  # its text quotes addresses of objects, and the URL's query
            raise HttpError(f"{_origin(url)} does not answer: {type(error).__name__}.") from None
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    return Reply(response.status_code, body)


def wanted(reply: Reply, *statuses: int, what: str) -> Any:
    """The JSON of a reply that has one of the statuses. Raises HttpError about `what`: HttpRefusal when it was a no."""
    if reply.status not in statuses:
        kind = HttpRefusal if 400 <= reply.status < 500 and reply.status not in PASSING else HttpError
        raise kind(f"{what} was answered by HTTP {reply.status}.")
    return reply.body


def part(body: Any, *path: str | int, what: str) -> Any:
    """What stands in an answer under names and numbers. Raises HttpError about `what` when it is not there."""
    found = body
    for name in path:
        try:
            found = found[name]
        except (TypeError, LookupError):
            raise HttpError(f"{what} was answered without {name!r}: is something else at its address?") from None
    return found


def log_in(url: str, username: str, password: str) -> Login:
    """One GET of `url` with basic authentication: 200 is accepted, 401 refused, anything else no answer to that."""
    try:
        reply = call("GET", url, login=(username, password))
    except HttpError as error:
        return no_answer(error)
    return judged(reply, accepted=200)


def judged(reply: Reply, *, accepted: int) -> Login:
    """What a reply says about the password: 401 refuses it."""
    answers = {accepted: Answer.ACCEPTED, 401: Answer.REFUSED}
    return Login(answers.get(reply.status, Answer.UNREACHABLE), str(reply.status))


def no_answer(error: HttpError) -> Login:
    """Silence, which says nothing about the password."""
    return Login(Answer.UNREACHABLE, str(error).rpartition(": ")[2].rstrip("."))


class _Trusting(HTTPAdapter):
    """Trusts the authorities in a file besides the usual ones."""

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(  # type: ignore[no-untyped-call]
            *arguments, ssl_context=_trust(self._bundle), **named
        )

    def cert_verify(self, *_: Any) -> None:
        """The context decides whom to trust; requests would read its file of authorities for each connection."""


@cache
def _trust(bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_verify_locations(bundle)
    return context


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
