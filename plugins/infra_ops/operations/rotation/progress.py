"""What sensors wait for between the stages of a rotation, and what the scorecard asks of a credential at any time."""

from __future__ import annotations

from datetime import datetime, timedelta

from infra_ops.checks import credentials as checks
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.facts.workloads import Workload, pods, readers, rollout
from infra_ops.models.credentials import Moving, Session
from infra_ops.models.inventory import Inventory
from infra_ops.models.outcomes import Outcome
from infra_ops.operations.rotation.rotation import PROBED, Rotation


def accepted(rotation: Rotation, *, now: datetime, run: str) -> Outcome:
    """K010 for the new value of a rotation."""
    new = rotation.change.new()
    return checks.accepted(rotation.id, rotation.target.log_in(new.username, new.password), now=now, run=run)


def moved(rotation: Rotation, cluster: Cluster, *, now: datetime, run: str) -> Outcome:
    """K011: rollouts, and sessions of the old and the new login."""
    new, old = rotation.change.new().username, rotation.change.old.credential.username
    new_sessions = rotation.target.sessions(new)
    rollouts: dict[str, str] = {}
    without: list[str] = []
    for consumer in rotation.spec.consumers:
        for workload in readers(cluster, consumer.secret.namespace, consumer.secret.name):
            rollouts[str(workload)] = rollout(cluster, workload).missing
            if consumer.keeps_session and new_sessions is not None and not _has(cluster, workload, new_sessions):
                without.append(str(workload))
    left = tuple(rotation.target.sessions(old) or ()) if old != new else ()
    return checks.moved(rotation.id, Moving(rollouts, left, tuple(without)), now=now, run=run)


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


def _has(cluster: Cluster, workload: Workload, sessions: list[Session]) -> bool:
    """Whether a pod of the workload holds one of the sessions, told by its address or by its name."""
    marks = {mark for pod in pods(cluster, workload) for mark in pod if mark}
    return any({session.address, session.application} & marks for session in sessions)
