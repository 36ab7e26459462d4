"""Proof from raw bytes: nothing of the state before is left in a server's datastore, nor in a new snapshot of it.

Writing a value again leaves the old bytes in the member's file until it is compacted and defragmented; what is in older
snapshots stays there until they expire.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from infra_ops.checks.encryption import without_canary
from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster, ClusterError
from infra_ops.clients.ssh import Machine
from infra_ops.facts import etcd
from infra_ops.models.encryption import IDENTITY, prefix
from infra_ops.models.managed_encryption import named
from infra_ops.models.plans import Step
from infra_ops.models.problems import Problem
from infra_ops.operations.actions import Action
from infra_ops.operations.encryption.copies import slug, snapshots
from infra_ops.operations.encryption.estate import Estate
from infra_ops.operations.servers import Write, refuse_lost_quorum

NAMESPACE = "infra-ops-hardening"  # nobody but this area makes Secrets or starts pods there
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
CANARY = "encryption-canary"
MARKER, PURPOSE = "infra-ops/marker", "infra-ops/encryption"
COMPACTED = "has been compacted"


class TraceLeft(Problem):
    """The datastore, or a new snapshot of it, still holds something of the state before."""


class NotSearched(Problem):
    """A snapshot in which nothing would be found, whatever is in it."""


def is_planted(cluster: Cluster, key: str) -> bool:
    """Whether there is a Secret with a random marker from when everything was plain."""
    return _canary(cluster).get(PURPOSE) == key


def planted(cluster: Cluster, key: str) -> Action:
    """The step that makes a Secret with a random marker while everything is still plain."""
    step = Step("canary", f"Secret {NAMESPACE}/{CANARY}", f"none for {key}", "planted")

    def look() -> str:
        return step.after if is_planted(cluster, key) else step.before

    def plant() -> None:
        annotations = {MARKER: secrets.token_hex(16), PURPOSE: key}
        labels = {"app.kubernetes.io/part-of": "infra-ops"}
        metadata = {"name": CANARY, "namespace": NAMESPACE, "annotations": annotations, "labels": labels}
        item = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"}
        if _canary(cluster):
            cluster.replace(f"{SECRETS}/{CANARY}", item)
        else:
            cluster.create(SECRETS, item)

    return Action(step, look, lambda effects: effects.do(step.id, "plant a canary", plant))


def _canary(cluster: Cluster) -> dict[str, str]:
    """Its annotations; {} when there is none."""
    try:
        found = cluster.get(f"{SECRETS}/{CANARY}")
    except ClusterError as error:
        if error.status == 404:
            return {}
        raise
    return dict(found["metadata"].get("annotations") or {})


def proved(estate: Estate, old: str, first: Callable[[], str], new: str, *, canary: bool = True) -> list[Action]:
    """The steps, one a server, that make the member forget and search a new snapshot of it.

    `old` wrote before, and `first` tells what writes now, which plans call `new`. Without a `canary` from when all was
    plain there is nothing to search for: then the member's own values are read, and step and note say so.
    """
    return [_proved(estate, old, first, new, server, canary) for server in estate.servers.names]


def _proved(estate: Estate, old: str, first: Callable[[], str], new: str, server: str, canary: bool) -> Action:
    after = f"no trace of what was before {new}" if canary else f"all values with {new}; no canary to search for"
    step = Step(f"proof.{server}", f"the datastore of {server}", "not proved", after)

    def look() -> str:
        enough = (first(),) if canary else (first(), without_canary(first()))
        return step.after if estate.keys.noted().get(server) in enough else step.before

    def do(effects: Effects) -> None:
        def write(what: str, call: Callable[[], Any]) -> Any:
            return effects.do(step.id, what, call)

        _forget(estate, server, write)
        if canary:
            _search(estate, old, first(), server, write)
            write("note that nothing is left", lambda: estate.keys.note(server, first()))
        else:
            _read(estate, first(), server)
            write("note what was read", lambda: estate.keys.note(server, without_canary(first())))

    return Action(step, look, do)


def _forget(estate: Estate, server: str, write: Write) -> None:
    machine = estate.servers.machine(server)
    refuse_lost_quorum(estate.servers, server)  # a member that defragments answers nobody
    write("compact the datastore", lambda: _compact(machine))
    write(f"defragment the member of {server}", lambda: machine.run(*etcd.ETCDCTL, "defrag", seconds=600))


def _read(estate: Estate, first: str, server: str) -> None:
    """Raises TraceLeft when a value of the member is not written with `first`."""
    counts = estate.written(server)
    others = ", ".join(f"{count} with {name}" for name, count in sorted(counts.items()) if name != first)
    if others:
        raise TraceLeft(f"The datastore of {server} holds Secrets that are not written with {first}: {others}.")


def _search(estate: Estate, old: str, first: str, server: str, write: Write) -> None:
    """Raises TraceLeft when a new snapshot holds something of the state before, and NotSearched."""
    machine = estate.servers.machine(server)
    file = str(write("take a snapshot", lambda: _snapshot(machine, slug(first))))
    needle, control = _needles(estate.servers.cluster, old, first)
    if not _hits(machine, file, control):
        raise NotSearched(
            f"The snapshot {file} on {server} proves nothing: not even {control.decode()} is found in it, which must "
            f"be there. Take etcd-snapshot-compress out of the K3s configuration of {server} and run this again."
        )
    if hits := _hits(machine, file, needle):
        raise TraceLeft(f"The snapshot {file} on {server} has {hits} traces of the state before.")


def _needles(cluster: Cluster, old: str, first: str) -> tuple[bytes, bytes]:
    """What only values of the state before hold: the canary's marker, or the beginning of what the old key wrote.

    And what the same search must find, because keys are never encrypted: it finds nothing in a compressed snapshot.
    """
    if old not in (IDENTITY, first):
        provider, name = named(old)
        return prefix(name, provider), etcd.SECRETS.encode()
    marker = _canary(cluster).get(MARKER, "")
    if not marker:
        raise TraceLeft(f"The Secret {NAMESPACE}/{CANARY} has lost its marker, so nothing can be searched for.")
    return marker.encode(), f"{etcd.SECRETS}{NAMESPACE}/{CANARY}".encode()


def _hits(machine: Machine, file: str, needle: bytes) -> int:
    """In how many lines of the file it stands. Raises NotSearched."""
    answer = machine.ask("sudo", "grep", "-a", "-c", "-F", "-f", "-", file, stdin=needle, seconds=600)
    if answer.status > 1:  # 1 is for no line
        why = answer.errors.decode(errors="replace").strip()[-300:]
        raise NotSearched(f"The snapshot {file} on {machine.name} cannot be searched: {why}.")
    return int(answer.text)


def _compact(machine: Machine) -> None:
    """Up to now. The API server does the same every five minutes; clients in the middle of a list begin it anew."""
    answer = machine.ask(*etcd.ETCDCTL, "compact", str(etcd.revision(machine)), seconds=300)
    if answer.status and COMPACTED not in (answer.errors + answer.output).decode(errors="replace"):
        raise Problem(f"The datastore of {machine.name} cannot be compacted: {answer.errors.decode(errors='replace')}.")


def _snapshot(machine: Machine, key: str) -> str:
    """The path of a new snapshot."""
    before = {each.name for each in snapshots(machine)}
    machine.run("sudo", "k3s", "etcd-snapshot", "save", "--name", f"proof-{key}", seconds=300)
    new = [each for each in snapshots(machine) if each.name not in before and each.name.startswith(f"proof-{key}-")]
    if not new:
        raise Problem(f"{machine.name} saved a snapshot and does not list it.")
    return new[0].location.removeprefix("file://")
