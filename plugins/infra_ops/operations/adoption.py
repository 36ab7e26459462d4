"""Bringing today's live password of a service under management, as version 1, after proving that it logs in."""

from __future__ import annotations

from collections.abc import Callable

from infra_ops.clients.kv import Kv, SomebodyWasFaster
from infra_ops.models.credentials import Answer, Credential, Login
from infra_ops.models.problems import Refusal

LogIn = Callable[[str, str], Login]


class NotAdopted(Refusal):
    """The value was not stored; the sentence says why."""


def adopt(credential_id: str, credential: Credential, log_in: LogIn | None, kv: Kv) -> int:
    """Stores the value at `svc/<id>` and returns its version. Writes nothing when the same value is stored already.

    `log_in` proves the value; None where nothing is known that it opens. A stored value that the service refuses by now
    (somebody changed the password by hand) is replaced, at the price of one wrong login. Raises NotAdopted when the
    service refuses the value or does not answer, when another value is stored that it accepts, and in the middle of a
    rotation.
    """
    path = f"svc/{credential_id}"
    stored = kv.read(path)
    if stored and _same(stored.credential, credential):
        return stored.version
    if kv.read(f"rotation/pending/{credential_id}"):
        raise NotAdopted(f"A rotation of {credential_id} is unfinished: run rotate_credentials first, which ends it.")
    if log_in:
        _prove(credential_id, credential, log_in)
    if stored and not (log_in and _is_dead(stored.credential, log_in)):
        raise NotAdopted(
            f"{credential_id} is managed already (version {stored.version}) with another value; rotate it."
        )
    try:
        return kv.write(path, credential, replaces=stored.version if stored else 0)
    except SomebodyWasFaster:
        raise NotAdopted(
            f"{credential_id} was adopted by somebody else at the same moment; look before rotating."
        ) from None


def _prove(credential_id: str, credential: Credential, log_in: LogIn) -> None:
    login = log_in(credential.username, credential.password)
    if login.answer is not Answer.ACCEPTED:
        raise NotAdopted(
            f"The service does not accept this login of {credential_id} ({login.answer.value} {login.code}); "
            "nothing was stored."
        )


def _is_dead(stored: Credential, log_in: LogIn) -> bool:
    return log_in(stored.username, stored.password).answer is Answer.REFUSED


def _same(one: Credential, other: Credential) -> bool:
    return (one.username, one.password) == (other.username, other.password)
