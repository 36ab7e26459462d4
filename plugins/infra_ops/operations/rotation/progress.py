"""What sensors wait for between the stages of a rotation, and what anybody may ask of a credential at any time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from infra_ops import include
from infra_ops.checks import credentials as checks
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.clients.vault import Vault
from infra_ops.facts.workloads import Workload, pods, readers, rollout
from infra_ops.models.credentials import Moving, Session
from infra_ops.models.inventory import Inventory
from infra_ops.models.outcomes import Outcome
from infra_ops.operations.rotation.due import latest
from infra_ops.operations.rotation.rotation import PROBED, Rotation


def measure_accepted(credential_id: str, arguments: Mapping[str, Any]) -> Outcome:
    """K010: one login with the newest value that is stored for the credential, at a service that is of one mind."""
    rotation, _ = _latest(credential_id)
    new = rotation.newest()
    login = rotation.target.log_in(new.username, new.password)
    return checks.accepted(credential_id, login, rotation.rolling(), now=datetime.now(UTC), run=arguments["run"])


def measure_moved(credential_id: str, arguments: Mapping[str, Any]) -> Outcome:
    """K011: rollouts of all consumers, and sessions of the old and the new login."""
    rotation, cluster = _latest(credential_id)
    return checks.moved(credential_id, moving(rotation, cluster), now=datetime.now(UTC), run=arguments["run"])


def moving(rotation: Rotation, cluster: Cluster) -> Moving:
    """How far the consumers of a rotation's credential have come."""
    new = rotation.newest().username
    old = rotation.change.old.credential.username
    new_sessions = rotation.target.sessions(new)
    rollouts: dict[str, str] = {}
    without: list[str] = []
    for consumer in rotation.spec.consumers:
        for workload in readers(cluster, consumer.secret.namespace, consumer.secret.name):
            rollouts[str(workload)] = rollout(cluster, workload).missing
            if consumer.keeps_session and new_sessions is not None and not _has(cluster, workload, new_sessions):
                without.append(str(workload))
    left = tuple(rotation.target.sessions(old) or ()) if old != new else ()
    return Moving(rollouts, left, tuple(without))


def standing(inventory: Inventory, credential_id: str, kv: Kv, *, now: datetime, run: str) -> list[Outcome]:
    """K012 and K013 from the store alone: age of the current value, and what the last probe found."""
    path = f"svc/{credential_id}"
    stored = kv.read(path)
    limit = timedelta(days=inventory.credentials[credential_id].rotate_every_days)
    rotation_id = stored.credential.rotation_id if stored else ""
    return [
        checks.young(credential_id, stored, limit=limit, now=now, run=run),
        checks.old_refused(credential_id, rotation_id, kv.notes(path).get(PROBED, ""), now=now, run=run),
    ]


def _latest(credential_id: str) -> tuple[Rotation, Cluster]:
    inventory, cluster = include.inventory(), Cluster()
    return latest(inventory, credential_id, Kv(Vault(), inventory.store.mount), cluster), cluster


def _has(cluster: Cluster, workload: Workload, sessions: list[Session]) -> bool:
    """Whether a pod of the workload holds one of the sessions, told by its address or by its name."""
    marks = {mark for pod in pods(cluster, workload) for mark in pod if mark}
    return any({session.address, session.application} & marks for session in sessions)
