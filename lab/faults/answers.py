"""How servers word the answers that a rule makes up in their place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from lab.faults.rules import Kind, Rule


@dataclass(frozen=True)
class Made:
    """An answer of the proxy's own."""

    status: int
    body: str
    content_type: str = "application/json"


Wording = Callable[[Rule, str], Made]
STATUS = {Kind.CONFLICT: 409, Kind.BUSY: 429, Kind.ERROR: 500, Kind.EXPIRED: 410}
_KUBERNETES = {
    Kind.CONFLICT: ("Conflict", "the object has been modified; please apply your changes to the latest version"),
    Kind.BUSY: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    Kind.ERROR: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    Kind.EXPIRED: ("Expired", "too old resource version"),
}


def kubernetes(rule: Rule, path: str) -> Made:
    """A Status; for a watch that is too old, an ERROR event in a stream that was begun with 200.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#410-gone-responses
    """
    if rule.kind is Kind.LOCKED:
        return Made(rule.status, rule.body or json.dumps(_status(rule.status, "Unauthorized", "Unauthorized")))
    code = STATUS[rule.kind]
    status = _status(code, *_KUBERNETES[rule.kind])
    if rule.kind is Kind.EXPIRED and ("watch=true" in path or "watch=1" in path):
        return Made(200, json.dumps({"type": "ERROR", "object": status}) + "\n")
    return Made(code, json.dumps(status))


def vault(rule: Rule, path: str) -> Made:
    """OpenBao says 400 when check-and-set fails; 410 it has none.

    https://openbao.org/api-docs/#http-status-codes
    """
    if rule.kind is Kind.LOCKED:
        return Made(rule.status, rule.body or json.dumps({"errors": ["permission denied"]}))
    if rule.kind is Kind.CONFLICT:
        text = "check-and-set parameter did not match the current version"
        return Made(400, json.dumps({"errors": [text]}))
    text = {Kind.BUSY: "rate limit quota exceeded", Kind.ERROR: "internal error"}.get(rule.kind, "gone")
    return Made(STATUS[rule.kind], json.dumps({"errors": [text]}))


def plain(rule: Rule, path: str) -> Made:
    """A status, and the rule's body."""
    return Made(STATUS.get(rule.kind, rule.status), rule.body, "text/plain")


WORDINGS: dict[str, Wording] = {"kubernetes": kubernetes, "vault": vault, "plain": plain}


def _status(code: int, reason: str, message: str) -> dict[str, object]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
