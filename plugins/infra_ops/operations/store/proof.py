"""What each identity may do, and what not, tried once with its policies on values that matter to nobody."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from infra_ops.clients.openbao import Denied, OpenBao
from infra_ops.models.problems import Refusal
from infra_ops.operations.store.parts import Part, Store, Write
from infra_ops.operations.store.settings import digest

PLACE = "canary/proof"


class ProofFailed(Refusal):
    """An identity may do more, or less, than it must."""


@dataclass(frozen=True)
class Trial:
    """`call` as the identity `policy`: it must be `allowed`, or denied."""

    policy: str
    what: str
    call: Callable[[OpenBao], object]
    allowed: bool


def part(store: Store, mount: str) -> Part:
    """Tries all of it when the policies are others than those of the last proof, and notes that it did."""
    path, wanted = f"{mount}/data/{PLACE}", f"proved for policies {digest()}"

    def look() -> str:
        proved = noted(store(), mount)
        return f"proved for policies {proved}" if proved else "not proved"

    def do(write: Write) -> None:
        write("try what each identity may do", lambda: _try(store(), mount))
        note = {"data": {"policies": digest(), "at": datetime.now(UTC).isoformat(timespec="seconds")}}
        write("note the proof", lambda: store().write(path, note))

    return Part("openbao.proof", "the identities of the store", wanted, look, do)


def noted(store: OpenBao, mount: str) -> str:
    """The digest of the policies for which the last proof was made; "" for none."""
    found = store.read(f"{mount}/data/{PLACE}")
    return str(found["data"]["data"]["policies"]) if found else ""


def _try(store: OpenBao, mount: str) -> None:
    """Raises ProofFailed naming every trial that went the wrong way."""
    wrong = []
    for trial in trials(mount):
        caller = store.with_policies(trial.policy)
        try:
            trial.call(caller)
        except Denied:
            if trial.allowed:
                wrong.append(f"{trial.policy} may not {trial.what}")
        else:
            if not trial.allowed:
                wrong.append(f"{trial.policy} may {trial.what}")
    if wrong:
        raise ProofFailed(f"The store's policies do not hold: {'; '.join(wrong)}.")


def trials(mount: str) -> list[Trial]:
    """A canary through each identity, in an order in which each finds what the one before it left."""
    canary = secrets.token_hex(16)
    pending, metadata = f"{mount}/data/rotation/pending/canary", f"{mount}/metadata/rotation/pending/canary"
    credential = f"{mount}/data/svc/canary"
    body = {"data": {"canary": canary}}

    def same(path: str) -> Callable[[OpenBao], None]:
        def read(caller: OpenBao) -> None:
            found = caller.read(path)
            if not found or found["data"]["data"] != {"canary": canary}:
                raise ProofFailed(f"What was written to {path} was not read back.")

        return read

    def reading(path: str) -> Callable[[OpenBao], object]:
        return lambda caller: caller.read(path)

    def writing(path: str) -> Callable[[OpenBao], object]:
        return lambda caller: caller.write(path, body)

    rotates, looks, fetches = "infra-ops-credentials", "infra-ops-sensors", "infra-ops-connections"
    copies, destroys, deploys = "infra-ops-backups", "infra-ops-destroyer", "infra-ops-platform"
    migrates, plays = "infra-ops-repository", "infra-ops-playbooks"
    outside = "auth/approle/role/infra-ops-outside"
    connection = f"{mount}/data/airflow/connections/canary"
    backup = f"{mount}/data/canary/backup"
    return [
        Trial(rotates, "write a pending value", writing(pending), True),
        Trial(rotates, "read it back", same(pending), True),
        Trial(looks, "read a pending value", same(pending), True),
        Trial(looks, "write a pending value", writing(pending), False),
        Trial(looks, "delete a pending value", lambda caller: caller.delete(metadata), False),
        Trial(rotates, "delete a pending value", lambda caller: caller.delete(metadata), True),
        Trial(rotates, "delete a credential", lambda caller: caller.delete(f"{mount}/metadata/svc/canary"), False),
        Trial(rotates, "list connections", reading(f"{mount}/metadata/airflow/connections?list=true"), True),
        Trial(rotates, "read a connection", reading(connection), True),
        Trial(rotates, "make a connection", writing(connection), False),
        Trial(fetches, "list connections", reading(f"{mount}/metadata/airflow/connections?list=true"), False),
        Trial(fetches, "read a connection", reading(connection), True),
        Trial(fetches, "write a connection", writing(connection), False),
        Trial(fetches, "read a credential", reading(credential), False),
        Trial(copies, "read the canary of backups", reading(backup), True),
        Trial(copies, "read a credential", reading(credential), False),
        Trial(destroys, "see which versions there are", reading(f"{mount}/metadata/svc/canary"), True),
        Trial(destroys, "read a credential", reading(credential), False),
        Trial(destroys, "write a credential", writing(credential), False),
        Trial(destroys, "delete a credential", lambda caller: caller.delete(f"{mount}/metadata/svc/canary"), False),
        Trial(migrates, "see which versions there are", reading(f"{mount}/metadata/svc/canary"), True),
        Trial(migrates, "read a credential", reading(credential), True),
        Trial(migrates, "write a credential", writing(credential), False),
        Trial(migrates, "write a deploy key", writing(f"{mount}/data/ansible/deploy-key/canary"), False),
        Trial(
            migrates, "delete the vault", lambda caller: caller.delete(f"{mount}/metadata/ansible/vault/canary"), False
        ),
        Trial(plays, "read a vault's password", reading(f"{mount}/data/ansible/password/canary"), True),
        Trial(plays, "read a credential", reading(credential), False),
        Trial(rotates, "read a vault's password", reading(f"{mount}/data/ansible/password/canary"), False),
        Trial(rotates, "issue a login from outside", lambda caller: caller.write(f"{outside}/secret-id", {}), False),
        Trial(deploys, "name the login from outside", reading(f"{outside}/role-id"), True),
        Trial(deploys, "read a credential", reading(credential), False),
        Trial(
            deploys,
            "destroy a version",
            lambda caller: caller.write(f"{mount}/destroy/svc/canary", {"versions": [1]}),
            False,
        ),
    ]
