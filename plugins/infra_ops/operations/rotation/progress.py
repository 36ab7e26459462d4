"""What sensors wait for between the stages of a rotation, and what anybody may ask of a credential at any time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from infra_ops import include
from infra_ops.checks import credentials as checks
from infra_ops.clients.kubernetes import Cluster
from infra_ops.facts.readers import readers, unowned_readers
from infra_ops.facts.workloads import Workload, pods, rollout
from infra_ops.models.credentials import Moving, Session
from infra_ops.models.outcomes import Outcome
from infra_ops.operations.rotation.due import latest
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.rotation import PROBED, Rotation

MARGIN = timedelta(minutes=1)  # between the promotion of a value and the last Secret that gets it


def measure_accepted(credential_id: str, arguments: Mapping[str, Any]) -> Outcome:
    """K010: one login with the newest value that is stored for the credential, at a service that is of one mind."""
    return accepted(latest(Estate.of(include.inventory()), credential_id), run=arguments["run"])


def accepted(rotation: Rotation, *, run: str) -> Outcome:
    """K010, measured now."""
    new = rotation.newest()
    login = rotation.target.log_in(new.username, new.password)
    return checks.accepted(rotation.id, login, rotation.rolling(), now=datetime.now(UTC), run=run)


def measure_moved(credential_id: str, arguments: Mapping[str, Any]) -> Outcome:
    """K011: rollouts of all consumers, and sessions of the old and the new login."""
    estate = Estate.of(include.inventory())
    rotation = latest(estate, credential_id)
    return checks.moved(credential_id, moving(rotation, estate.cluster), now=datetime.now(UTC), run=arguments["run"])


def moving(rotation: Rotation, cluster: Cluster) -> Moving:
    """How far the consumers of a rotation's credential have come."""
    new = rotation.newest().username
    new_sessions = rotation.target.sessions(new)
    rollouts: dict[str, str] = {}
    without: list[str] = []
    behind: list[str] = []
    changed = rotation.promoted_at()
    for consumer in (consumer for consumer in rotation.spec.consumers if consumer.restart):
        for workload in readers(cluster, consumer.secret.namespace, consumer.secret.name):
            come = rollout(cluster, workload)
            rollouts[str(workload)] = come.missing
            waits = consumer.keeps_session and come.wanted
            if waits and new_sessions is not None and not _has(cluster, workload, new_sessions):
                without.append(str(workload))
        for pod, began in unowned_readers(cluster, consumer.secret.namespace, consumer.secret.name):
            if changed is None or began < changed + MARGIN:
                behind.append(pod)
    left = tuple(rotation.target.old_sessions(rotation.change))
    return Moving(rollouts, left, tuple(without), tuple(behind))


def standing(estate: Estate, credential_id: str, *, now: datetime, run: str) -> list[Outcome]:
    """K012 and K013 from the store alone: age of the current value, and what the last probe found."""
    path = f"svc/{credential_id}"
    stored = estate.kv.read(path)
    limit = timedelta(days=estate.spec(credential_id).rotate_every_days)
    rotation_id = stored.credential.rotation_id if stored else ""
    return [
        checks.young(credential_id, stored, limit=limit, now=now, run=run),
        checks.old_refused(credential_id, rotation_id, estate.kv.notes(path).get(PROBED, ""), now=now, run=run),
    ]


def _has(cluster: Cluster, workload: Workload, sessions: list[Session]) -> bool:
    """Whether a pod of the workload holds one of the sessions, told by its address or by its name."""
    marks = {mark for pod in pods(cluster, workload) for mark in pod if mark}
    return any({session.address, session.application} & marks for session in sessions)
