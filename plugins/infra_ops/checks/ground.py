"""Do the three observers agree, and is what they saw sound?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from infra_ops.models.ground import Ground
from infra_ops.models.k3s import Snapshot, Unreadable
from infra_ops.models.nodes import Node
from infra_ops.models.outcomes import Outcome, State

VALID_FOR = timedelta(hours=1)
OLDEST_SNAPSHOT = timedelta(hours=6, minutes=30)  # they are taken every 6 hours, and a Pi needs its time


@dataclass(frozen=True)
class _Measurement:
    """What all outcomes of one run share."""

    at: datetime
    run: str

    def outcome(self, check: str, subject: str, expected: str, seen: str, reason: str = "") -> Outcome:
        """A pass without a reason, a fail with one."""
        state = State.FAIL if reason else State.PASS
        return Outcome(check, subject, state, expected, seen, reason, self.at, VALID_FOR, self.run)

    def unknown(self, check: str, subject: str, expected: str, missing: str) -> Outcome:
        return Outcome(check, subject, State.UNKNOWN, expected, "nothing", missing, self.at, VALID_FOR, self.run)


def check_ground(ground: Ground, *, now: datetime, run: str) -> list[Outcome]:
    """The outcomes of K001 to K005. `now` is the time at which the views were taken, with its time zone."""
    measurement = _Measurement(now, run)
    return [
        *_nodes_ready(ground, measurement),
        _same_version(ground, measurement),
        _same_nodes(ground, measurement),
        _fresh_snapshot(ground, measurement),
        _store_open(ground, measurement),
    ]


def _nodes_ready(ground: Ground, measurement: _Measurement) -> list[Outcome]:
    view = ground.pod or ground.worker
    if view is None:
        return [measurement.unknown("K001", "nodes", "Ready", "neither the pod nor the worker could list the nodes")]
    if not view.nodes:
        return [measurement.outcome("K001", "nodes", "Ready", "none", "the cluster has no nodes")]
    return [_node_ready(node, measurement) for node in view.nodes]


def _node_ready(node: Node, measurement: _Measurement) -> Outcome:
    subject = f"node {node.name}"
    if node.ready:
        return measurement.outcome("K001", subject, "Ready", "Ready")
    return measurement.outcome("K001", subject, "Ready", "not Ready", node.reason or "the node gives no reason")


def _same_version(ground: Ground, measurement: _Measurement) -> Outcome:
    subject, expected = f"K3s on {ground.server}", "one version by SSH, kubelet and API server"
    if ground.pod is None or ground.node is None or ground.worker is None:
        return measurement.unknown(
            "K002", subject, expected, _missing(pod=ground.pod, node=ground.node, worker=ground.worker)
        )
    if isinstance(ground.node.version, Unreadable):
        return measurement.unknown("K002", subject, expected, ground.node.version.problem)
    kubelet = next((node.kubelet_version for node in ground.pod.nodes if node.name == ground.server), "no such node")
    versions = {"SSH": ground.node.version, "kubelet": kubelet, "API server": ground.worker.api_version}
    seen = ", ".join(f"{who} {version}" for who, version in versions.items())
    same = len(set(versions.values())) == 1
    return measurement.outcome("K002", subject, expected, seen, "" if same else "the versions differ")


def _same_nodes(ground: Ground, measurement: _Measurement) -> Outcome:
    subject, expected = "list of nodes", "the same to pod and worker"
    if ground.pod is None or ground.worker is None:
        return measurement.unknown("K003", subject, expected, _missing(pod=ground.pod, worker=ground.worker))
    pod, worker = {node.name for node in ground.pod.nodes}, {node.name for node in ground.worker.nodes}
    only = [
        f"only the {who} saw {', '.join(sorted(names))}"
        for who, names in (("pod", pod - worker), ("worker", worker - pod))
        if names
    ]
    return measurement.outcome("K003", subject, expected, f"{len(pod)} and {len(worker)} nodes", " and ".join(only))


def _fresh_snapshot(ground: Ground, measurement: _Measurement) -> Outcome:
    if ground.node is None:
        subject, expected = _about_snapshots(ground.server)
        return measurement.unknown("K004", subject, expected, _missing(node=ground.node))
    return fresh_snapshot(ground.server, ground.node.snapshots, now=measurement.at, run=measurement.run)


def fresh_snapshot(server: str, found: list[Snapshot] | Unreadable, *, now: datetime, run: str) -> Outcome:
    """K004 of one server."""
    measurement = _Measurement(now, run)
    subject, expected = _about_snapshots(server)
    if isinstance(found, Unreadable):
        return measurement.unknown("K004", subject, expected, found.problem)
    if not found:
        return measurement.outcome("K004", subject, expected, "none", "the server lists no snapshot")
    newest = max(found, key=lambda snapshot: snapshot.created)
    age = measurement.at - newest.created
    return measurement.outcome(
        "K004", subject, expected, f"{newest.name}, {_hours(age)}", "" if age < OLDEST_SNAPSHOT else "it is too old"
    )


def _about_snapshots(server: str) -> tuple[str, str]:
    return f"etcd snapshot of {server}", f"younger than {_hours(OLDEST_SNAPSHOT)}"


def _store_open(ground: Ground, measurement: _Measurement) -> Outcome:
    subject, expected = "secret store", "unsealed, and it lets the worker in"
    if ground.worker is None:
        return measurement.unknown("K005", subject, expected, _missing(worker=ground.worker))
    store = ground.worker.store
    if not store.reachable:
        return measurement.unknown("K005", subject, expected, store.problem)
    seen = "sealed" if store.sealed else f"unsealed, login {store.login or 'refused'}"
    return measurement.outcome("K005", subject, expected, seen, store.problem)


def _missing(**views: object) -> str:
    silent = [f"the {who}" for who, view in views.items() if view is None]
    return f"no answer from {' and '.join(silent)}: see the log of its task"


def _hours(span: timedelta) -> str:
    hours, minutes = divmod(round(span.total_seconds() / 60), 60)
    return f"{hours} h {minutes:02} min"
