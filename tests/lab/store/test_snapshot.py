"""A snapshot is taken, restored into a scratch store and read there, by the account backups and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra_ops import include
from infra_ops.clients.applying import Deployer
from infra_ops.clients.kubernetes import ClusterError
from infra_ops.models.outcomes import State
from infra_ops.models.plans import Plan
from infra_ops.operations.actions import carry_out, refuse_third_states
from infra_ops.operations.operation import Request
from infra_ops.operations.store import rehearsing
from infra_ops.operations.store.copies import Copies
from infra_ops.operations.store.snapshotting import SnapshotOpenbao
from tests.lab.store.stage import Stage


@pytest.fixture
def backups(stage: Stage, deployed: Plan) -> Iterator[Stage]:
    stage.as_account("backups")
    yield stage
    stage.as_account("platform")


def snapshot(stage: Stage, run: str) -> SnapshotOpenbao:
    """The whole runbook."""
    planned = SnapshotOpenbao(Request(run, {}, include.inventory()))
    assert [outcome.state for outcome in planned.preflight()] == [State.PASS]
    refuse_third_states(planned.work().actions())
    plan = planned.work().plan("openbao_snapshot")
    for group in ("take", "rehearse", "forget"):
        operation = SnapshotOpenbao(Request(run, {}, include.inventory(), plan))
        carry_out(operation.work().groups[group], stage.effects())
    return SnapshotOpenbao(Request(run, {}, include.inventory(), plan))


def test_what_was_written_before_is_read_from_the_restored_store(backups: Stage) -> None:
    outcomes = {outcome.id: outcome for outcome in snapshot(backups, "openbao_snapshot/one").verify()}
    assert outcomes["K018"].state is State.PASS, outcomes["K018"].sentence()
    assert "restored in" in outcomes["K018"].seen
    print(outcomes["K018"].seen)
    assert rehearsing.asleep(Deployer())


def test_a_restore_that_was_cut_off_is_done_again_from_an_empty_store(backups: Stage) -> None:
    Deployer().scale(rehearsing.SCRATCH, 1)
    outcomes = snapshot(backups, "openbao_snapshot/two").verify()
    assert outcomes[0].state is State.PASS
    assert len(Copies().all()) == 2
    assert rehearsing.asleep(Deployer())


def test_a_snapshot_shows_no_secret(backups: Stage) -> None:
    (copy, *_) = Copies().all()
    assert b"openbao_snapshot/one" not in copy.file.read_bytes()


def test_the_account_backups_wakes_the_scratch_store_and_touches_nothing_else(backups: Stage) -> None:
    cluster = Deployer()
    for refused in (
        lambda: cluster.scale("/apis/apps/v1/namespaces/openbao/statefulsets/openbao", 0),
        lambda: cluster.get("/api/v1/namespaces/openbao/secrets/openbao-seal"),
        lambda: cluster.delete("/apis/apps/v1/namespaces/openbao/statefulsets/openbao-scratch"),
    ):
        with pytest.raises(ClusterError) as refusal:
            refused()
        assert refusal.value.status == 403
