"""Restoring a snapshot for practice, into a store that is woken for it and put to sleep again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from infra_ops.clients.applying import Deployer
from infra_ops.clients.openbao import ACTIVE, OpenBao
from infra_ops.clients.vault import StoreError
from infra_ops.facts import openbao as facts
from infra_ops.models.problems import Problem
from infra_ops.models.store import Rehearsal
from infra_ops.operations.store.copies import Copies, Copy
from infra_ops.operations.store.parts import Part, Write
from infra_ops.operations.waiting import asked_until

SCRATCH = f"/apis/apps/v1/namespaces/{facts.NAMESPACE}/statefulsets/openbao-scratch"
IDENTITY = "infra-ops-backups"
WAKE_SECONDS, RESTORE_SECONDS = 240, 120  # a Pi may have to pull the image first
Answer = TypeVar("Answer")


class TooSlow(Problem):
    """The scratch store did not do in time what it was to do."""


def canary_path(mount: str) -> str:
    return f"{mount}/data/canary/backup"


def canary(store: OpenBao, mount: str) -> str:
    """The run that wrote the canary which the store holds; "" for none."""
    found = store.read(canary_path(mount))
    return str(found["data"]["data"].get("run", "")) if found else ""


def part(cluster: Deployer, copies: Copies, run: str, mount: str) -> Part:
    """The snapshot of this run, restored and read. It takes a minute or two and always begins with an empty store."""

    def look() -> str:
        copy = copies.of(run)
        rehearsal = copies.rehearsal(copy) if copy else None
        return "restored and read back" if rehearsal and rehearsal.canary else "nobody has restored it"

    def do(write: Write) -> None:
        copy = copies.of(run)
        if copy is None:
            raise TooSlow("The snapshot of this run is gone.")
        try:
            seconds = _rehearse(cluster, copy, run, mount, write)
        except Problem:
            _sleep(cluster, write)
            raise
        _sleep(cluster, write)
        rehearsal = Rehearsal(copy.file.name, copy.taken_at, copy.file.stat().st_size, canary=True, seconds=seconds)
        write("note what became of it", lambda: copies.note(copy, rehearsal))

    return Part("openbao.rehearsal", "the snapshot of this run", "restored and read back", look, do)


def asleep(cluster: Deployer) -> bool:
    """Whether the scratch store is not running."""
    return cluster.find(f"{facts.CORE}/pods/{facts.SCRATCH}") is None


def _rehearse(cluster: Deployer, copy: Copy, run: str, mount: str, write: Write) -> float:
    """Seconds from the start of an empty store until the canary was read there: what an owner would wait for."""
    _sleep(cluster, write)
    began = time.monotonic()
    write("wake the scratch store", lambda: cluster.scale(SCRATCH, 1))
    _wait(lambda: facts.serving(cluster, facts.SCRATCH).status == ACTIVE, WAKE_SECONDS, "get ready")
    store = _wait(lambda: _visitor(cluster), WAKE_SECONDS, "let its visitor in")
    write("restore the snapshot into it", lambda: store.restore_snapshot(copy.file))
    _wait(lambda: _holds(cluster, run, mount), RESTORE_SECONDS, "hold what was written before the snapshot")
    return round(time.monotonic() - began, 1)


def _sleep(cluster: Deployer, write: Write) -> None:
    if not asleep(cluster) or cluster.get(SCRATCH)["spec"]["replicas"]:
        write("put the scratch store to sleep", lambda: cluster.scale(SCRATCH, 0))
        _wait(lambda: asleep(cluster), WAKE_SECONDS, "go to sleep")


def _visitor(cluster: Deployer) -> OpenBao | None:
    """The scratch store with the login of the account backups; None as long as it lets nobody in."""
    try:
        store = facts.server(cluster, facts.SCRATCH)
        store.log_in(IDENTITY, cluster.token_of("airflow", IDENTITY))
    except StoreError:
        return None
    return store


def _holds(cluster: Deployer, run: str, mount: str) -> bool:
    """A login from before the restore is worth nothing after it; while it restores it answers nobody."""
    store = _visitor(cluster)
    try:
        return store is not None and canary(store, mount) == run
    except StoreError:
        return False


def _wait(question: Callable[[], Answer | None], seconds: float, what: str) -> Answer:
    """The first answer that is true. Raises TooSlow."""
    if answer := asked_until(bool, question, seconds):
        return answer
    raise TooSlow(f"The scratch store did not {what} within {seconds:.0f} s; look at its pod and log.")
