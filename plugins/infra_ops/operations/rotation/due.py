"""Which credentials are to be rotated now, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.models.credentials import Stored
from infra_ops.models.inventory import CredentialSpec, Flower, Inventory, Postgres
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.targets.flower import FlowerTarget
from infra_ops.operations.rotation.targets.postgres import PostgresTarget
from infra_ops.operations.rotation.targets.target import CannotRotate, Target


@dataclass(frozen=True)
class Due:
    """The rotations that are due, and one sentence for each credential that is not."""

    rotations: tuple[Rotation, ...]
    reasons: tuple[str, ...]


def due(inventory: Inventory, ids: list[str], kv: Kv, cluster: Cluster, *, now: datetime, force: bool = False) -> Due:
    """Looks at each credential of `ids` (all that rotate, when it is empty).

    A rotation that has begun is always due, whatever its age; `force` rotates a value that is young enough. Raises
    CannotRotate, with one sentence, for an unknown id, one that was never adopted, and a consumer that cannot follow.
    """
    rotations, reasons = [], []
    for id_ in ids or list(inventory.rotated()):
        spec = spec_of(inventory, id_)
        current = _adopted(inventory, id_, kv)
        begun = _begun(kv, id_, current)
        if begun is None and not force and (reason := _not_due(id_, spec, current, now)):
            reasons.append(reason)
            continue
        rotation = _rotation(inventory, id_, kv, cluster, begun or current)
        rotation.refuse_if_impossible()
        rotations.append(rotation)
    return Due(tuple(rotations), tuple(reasons))


def latest(inventory: Inventory, id_: str, kv: Kv, cluster: Cluster) -> Rotation:
    """The rotation that is under way, or else the one that made the current value. Raises CannotRotate."""
    current = _adopted(inventory, id_, kv)
    old = _begun(kv, id_, current) or kv.read(f"svc/{id_}", current.credential.base_version or None)
    if old is None:
        raise CannotRotate(f"The version of {id_} before its current one is gone from the store.")
    return _rotation(inventory, id_, kv, cluster, old)


def again(inventory: Inventory, versions: dict[str, int], kv: Kv, cluster: Cluster) -> list[Rotation]:
    """The rotations of a plan, from the version of each credential that they start from; done or not."""
    rotations = []
    for id_, version in versions.items():
        old = kv.read(f"svc/{id_}", version)
        if old is None:
            raise CannotRotate(f"Version {version} of {id_}, from which this plan starts, is gone from the store.")
        rotations.append(_rotation(inventory, id_, kv, cluster, old))
    return rotations


def _rotation(inventory: Inventory, id_: str, kv: Kv, cluster: Cluster, old: Stored) -> Rotation:
    spec = spec_of(inventory, id_)
    return Rotation(id_, spec, target_of(inventory, spec, kv, cluster), kv, cluster, old)


def spec_of(inventory: Inventory, id_: str) -> CredentialSpec:
    if id_ not in inventory.rotated():
        raise CannotRotate(f"{id_!r} is no credential that rotates; there are: {', '.join(inventory.rotated())}.")
    return inventory.credentials[id_]


def _adopted(inventory: Inventory, id_: str, kv: Kv) -> Stored:
    current = kv.read(f"svc/{id_}")
    if current is None:
        raise CannotRotate(
            f"{id_} was never adopted: nothing is stored at {inventory.store.mount}/svc/{id_}. Run "
            f"`python -m infra_ops adopt {id_}` where its present value is known."
        )
    return current


def _begun(kv: Kv, id_: str, current: Stored) -> Stored | None:
    """The stored version from which an unfinished rotation started."""
    pending = kv.read(f"rotation/pending/{id_}")
    if pending is None:
        return None
    base = pending.credential.base_version
    old = current if current.version == base else kv.read(f"svc/{id_}", base)
    if old is None:
        raise CannotRotate(
            f"A rotation of {id_} from version {base} is unfinished, but that version is gone from the store. Check by "
            "hand which value logs in, then delete the pending path."
        )
    return old


def _not_due(id_: str, spec: CredentialSpec, current: Stored, now: datetime) -> str:
    """Why this value need not be rotated; "" when it must. An adopted value was exposed, so it always must."""
    if not current.credential.rotation_id:
        return ""
    until = current.created + timedelta(days=spec.rotate_every_days)
    if now >= until:
        return ""
    return f"{id_}: version {current.version} was set on {current.created:%Y-%m-%d %H:%M} UTC, due on {until:%Y-%m-%d}."


def target_of(inventory: Inventory, spec: CredentialSpec, kv: Kv, cluster: Cluster) -> Target:
    """The service that a credential opens. Raises CannotRotate when its administrator's login is not stored."""
    match spec.target:
        case Postgres() as postgres:
            admin = kv.read(f"svc/{postgres.admin}")
            if admin is None:
                raise CannotRotate(
                    f"The administrator's login {postgres.admin} is not stored: run "
                    f"`python -m infra_ops adopt {postgres.admin}` first."
                )
            return PostgresTarget(postgres, admin.credential)
        case Flower() as flower:
            return FlowerTarget(flower, cluster)
        case _:
            raise CannotRotate(f"{spec.title} is only used, never rotated: it has no target.")
