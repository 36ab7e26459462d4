"""Which credentials are to be rotated now, and why the others are not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra_ops.models.credentials import Stored
from infra_ops.models.inventory import CredentialSpec
from infra_ops.models.problems import Problem
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.targets.target import CannotRotate

JITTER = timedelta(days=14)


@dataclass(frozen=True)
class Due:
    """The rotations that are due, and one sentence for each credential that is not."""

    rotations: tuple[Rotation, ...]
    reasons: tuple[str, ...]


def due(estate: Estate, ids: list[str], *, now: datetime, force: bool = False) -> Due:
    """Looks at each credential of `ids` (all that rotate, when it is empty).

    A rotation that has begun is always due, whatever its age; `force` rotates a value that is young enough. Raises
    Problem, with one sentence, for a named id that is unknown or was never adopted, or whose service or consumer cannot
    follow. When nobody named any, such a one does not stop the others: the sentence is its reason.
    """
    rotations, reasons = [], []
    for id_ in ids or list(estate.inventory.rotated()):
        try:
            found = _look(estate, id_, now, force=force)
        except Problem as problem:
            if ids:
                raise
            reasons.append(f"{id_} cannot be rotated: {problem}")
            continue
        if isinstance(found, str):
            reasons.append(found)
        else:
            rotations.append(found)
    return Due(tuple(rotations), tuple(reasons))


def _look(estate: Estate, id_: str, now: datetime, *, force: bool) -> Rotation | str:
    """The rotation of a credential, or why there is to be none."""
    spec, current = estate.spec(id_), estate.adopted(id_)
    rotation = _begun(estate, id_, current)
    if rotation is None:
        if not force and (reason := _not_due(id_, spec, current, now)):
            return reason
        rotation = estate.rotation(id_, current)
    rotation.refuse_if_impossible()
    return rotation


def rollbacks(estate: Estate, ids: list[str]) -> Due:
    """The rotations that put back the value before the current one. Raises CannotRotate, also when `ids` is empty."""
    if not ids:
        raise CannotRotate("Name the credentials whose previous value is to be put back: all at once is never meant.")
    rotations = []
    for id_ in ids:
        current = estate.adopted(id_)
        if (begun := _begun(estate, id_, current)) and not begun.change.rollback:
            raise CannotRotate(
                f"A rotation of {id_} is unfinished: run this without rollback first, which ends it. Until its new "
                "value is the current one, a failing run takes it back by itself."
            )
        rotation = begun or estate.rotation(id_, current, rollback=True)
        rotation.refuse_if_nothing_to_put_back()
        rotation.refuse_if_impossible()
        rotations.append(rotation)
    return Due(tuple(rotations), ())


def latest(estate: Estate, id_: str) -> Rotation:
    """The rotation that is under way, or else the one that made the current value. Raises CannotRotate."""
    current = estate.adopted(id_)
    if begun := _begun(estate, id_, current):
        return begun
    old = estate.kv.read(f"svc/{id_}", current.credential.base_version or None)
    if old is None:
        raise CannotRotate(f"The version of {id_} before its current one is gone from the store.")
    return estate.rotation(id_, old, rollback=current.credential.rolled_back)


def again(estate: Estate, planned: list[tuple[str, int, bool]]) -> list[Rotation]:
    """The rotations of a plan: id, the version from which each starts, and whether it is a rollback; done or not."""
    rotations = []
    for id_, version, rollback in planned:
        old = estate.kv.read(f"svc/{id_}", version)
        if old is None:
            raise CannotRotate(f"Version {version} of {id_}, from which this plan starts, is gone from the store.")
        rotations.append(estate.rotation(id_, old, rollback=rollback))
    return rotations


def due_at(id_: str, stored: Stored, spec: CredentialSpec) -> datetime:
    """When a value is rotated by the schedule: up to two weeks before it is overdue, spread so that not all come at
    once, and the same for one value whenever it is asked.
    """
    digest = hashlib.sha256(f"{id_}:{stored.version}".encode()).digest()
    longest = min(JITTER, timedelta(days=spec.rotate_every_days) / 4)
    return stored.created + timedelta(days=spec.rotate_every_days) - longest * (digest[0] / 255)


def _begun(estate: Estate, id_: str, current: Stored) -> Rotation | None:
    """The unfinished rotation of a credential, from the stored version from which it started."""
    pending = estate.kv.read(f"rotation/pending/{id_}")
    if pending is None:
        return None
    base = pending.credential.base_version
    if current.version != base and current.credential.rotation_id != pending.credential.rotation_id:
        raise CannotRotate(
            f"A rotation of {id_} from version {base} is unfinished, but somebody stored version {current.version} "
            f"since. Check by hand which value logs in, then delete rotation/pending/{id_} from the store."
        )
    old = current if current.version == base else estate.kv.read(f"svc/{id_}", base)
    if old is None:
        raise CannotRotate(
            f"A rotation of {id_} from version {base} is unfinished, but that version is gone from the store. Check by "
            "hand which value logs in, then delete the pending path."
        )
    return estate.rotation(id_, old, rollback=pending.credential.rolled_back)


def _not_due(id_: str, spec: CredentialSpec, current: Stored, now: datetime) -> str:
    """Why this value need not be rotated; "" when it must. An adopted value was exposed, so it always must."""
    if not current.credential.rotation_id:
        return ""
    if current.credential.rolled_back:
        return (
            f"{id_}: version {current.version} is an older value that was put back on {current.created:%Y-%m-%d}; "
            "rotate it with force when the reason for that is gone."
        )
    until = due_at(id_, current, spec)
    if now >= until:
        return ""
    return f"{id_}: version {current.version} was set on {current.created:%Y-%m-%d %H:%M} UTC, due on {until:%Y-%m-%d}."
