"""Bringing today's live password of a service under management, as version 1, after proving that it logs in."""

from __future__ import annotations

from infra_ops.clients.kv import Kv, SomebodyWasFaster
from infra_ops.models.credentials import Answer, Credential
from infra_ops.models.problems import Refusal
from infra_ops.operations.rotation.targets.target import Target


class NotAdopted(Refusal):
    """The value was not stored; the sentence says why."""


def adopt(credential_id: str, credential: Credential, target: Target | None, kv: Kv) -> int:
    """Stores the value at `svc/<id>` and returns its version. Writes nothing when the same value is stored already.

    `target` proves the value; None for an administrator's login, which its first use proves. Raises NotAdopted when
    the service refuses the value or does not answer, or when another value is stored.
    """
    path = f"svc/{credential_id}"
    stored = kv.read(path)
    if stored:
        same = (stored.credential.username, stored.credential.password) == (credential.username, credential.password)
        if same:
            return stored.version
        raise NotAdopted(
            f"{credential_id} is managed already (version {stored.version}) with another value; rotate it."
        )
    if target:
        login = target.log_in(credential.username, credential.password)
        if login.answer is not Answer.ACCEPTED:
            raise NotAdopted(
                f"{target.where} does not accept this login of {credential_id} ({login.answer.value} {login.code}); "
                "nothing was stored."
            )
    try:
        return kv.write(path, credential, replaces=0)
    except SomebodyWasFaster:
        raise NotAdopted(
            f"{credential_id} was adopted by somebody else at the same moment; look before rotating."
        ) from None
