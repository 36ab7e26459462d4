"""Services that speak HTTP: one request at a time, and logins that tell a refusal from silence.

INFRA_OPS_CACERT names the authorities that sign the cluster's own services; without it the usual ones are trusted.
Nothing of the machine's own set-up counts (.netrc would log in as somebody else).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from infra_ops.models.credentials import Answer, Login
from infra_ops.models.problems import Problem

SECONDS = 10


class HttpError(Problem):
    """A service did not answer, or not as it should. The text names it and never quotes what was sent."""


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
        session.verify = os.environ.get("INFRA_OPS_CACERT") or True
        try:
            response = session.request(
                method, url, auth=login, headers=headers, json=json, data=form, timeout=SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:  # its text quotes addresses of objects, and the URL's query
            raise HttpError(f"{_origin(url)} does not answer: {type(error).__name__}.") from None
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    return Reply(response.status_code, body)


def wanted(reply: Reply, *statuses: int, what: str) -> Any:
    """The body of a reply that has one of the statuses. Raises HttpError: `what` was refused."""
    if reply.status not in statuses:
        raise HttpError(f"{what} was answered by HTTP {reply.status}.")
    return reply.body


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


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
