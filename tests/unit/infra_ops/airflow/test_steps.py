"""The tasks that change the world, take back what a failed run did, and measure."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

from infra_ops.clients.effects import PlanMode
from tests.unit.infra_ops.airflow import lamps
from tests.unit.infra_ops.airflow.conftest import Run
from tests.unit.infra_ops.fake_cluster import FakeCluster

LEASE = "/apis/coordination.k8s.io/v1/namespaces/infra-ops/leases/change"


def journal(cluster: FakeCluster) -> list[str]:
    """The writes of the journals in this cluster."""
    return [text for path, item in cluster.objects.items() if "/journal-" in path for text in item["data"].values()]


def test_a_step_does_its_own_group_and_no_other(applying: Run, cluster: FakeCluster) -> None:
    applying.execute("introduce")
    assert lamps.WORLD == {"red": "on", "green": "off"}
    assert len(journal(cluster)) == 1
    assert "switch red on" in journal(cluster)[0]


def test_a_step_that_runs_again_does_nothing_again(applying: Run, cluster: FakeCluster) -> None:
    """A worker dies after the write and before Airflow hears of it; the task is cleared."""
    applying.execute("introduce")
    applying.execute("introduce")
    assert len(journal(cluster)) == 1


def test_a_step_of_a_plan_that_was_only_looked_at_cannot_write() -> None:
    """Somebody clears a skipped step of a run that only plans."""
    run = Run()
    run.execute("preflight")
    with pytest.raises(DownstreamTasksSkipped):
        run.execute("plan")
    with pytest.raises(PlanMode):
        run.execute("introduce")
    assert lamps.WORLD["red"] == "off"


def test_a_step_stops_when_the_lease_has_gone_to_another_run(applying: Run, cluster: FakeCluster) -> None:
    cluster.objects[LEASE]["spec"]["holderIdentity"] = "other/manual__2"
    applying.instance.unfinished.add("other/manual__2")
    with pytest.raises(AirflowFailException, match="other/manual__2 is changing the cluster"):
        applying.execute("introduce")
    assert lamps.WORLD["red"] == "off"


def test_a_step_that_is_cleared_after_its_run_had_ended_takes_the_lease_again(
    applying: Run, cluster: FakeCluster
) -> None:
    cluster.objects[LEASE]["spec"]["holderIdentity"] = ""
    applying.execute("introduce")
    assert lamps.WORLD["red"] == "on"
    assert cluster.objects[LEASE]["spec"]["holderIdentity"] == "lamps/manual__1"


def test_a_step_is_refused_while_what_came_before_it_is_taken_back(applying: Run) -> None:
    """Undo ran, and then only the task that had failed was cleared."""
    with pytest.raises(AirflowFailException, match=r"switch.red is not done: .* clear introduce and what comes after"):
        applying.execute("switch")
    assert lamps.WORLD["green"] == "off"


def test_a_step_stops_at_a_world_that_the_plan_does_not_know(applying: Run) -> None:
    lamps.WORLD["red"] = "broken"
    with pytest.raises(AirflowFailException, match="lamp red is 'broken'"):
        applying.execute("introduce")


def test_a_step_whose_operation_now_means_something_else_is_refused(
    applying: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inventory was edited between plan and step, say."""
    monkeypatch.setitem(lamps.GROUPS, "introduce", "green")
    with pytest.raises(AirflowFailException, match="Somebody changed the world since:\nPlan "):
        applying.execute("introduce")


def test_a_server_that_is_away_fails_a_step_for_another_try(applying: Run, cluster: FakeCluster) -> None:
    cluster.away = True
    with pytest.raises(AirflowException, match="does not answer") as problem:
        applying.execute("introduce")
    assert not isinstance(problem.value, AirflowFailException)


def test_undo_takes_back_what_a_failed_run_did(applying: Run) -> None:
    applying.execute("introduce")
    applying.execute("undo")
    assert lamps.WORLD == {"red": "off", "green": "off"}


def test_undo_says_when_the_good_way_is_on(applying: Run) -> None:
    applying.execute("introduce")
    applying.execute("switch")
    with pytest.raises(AirflowFailException, match="from here the good way is on"):
        applying.execute("undo")
    assert lamps.WORLD == {"red": "on", "green": "on"}


def test_undo_keeps_out_of_a_run_that_was_refused_before_it_did_anything() -> None:
    """What is half done then is another run's."""
    lamps.WORLD["red"] = "on"
    run = Run(mode="apply", plan_id="0" * 12)
    run.execute("preflight")
    with pytest.raises(AirflowFailException):
        run.execute("plan")
    with pytest.raises(AirflowSkipException):
        run.execute("undo")
    assert lamps.WORLD["red"] == "on"


def test_verify_measures_the_world_and_not_the_steps(applying: Run) -> None:
    applying.execute("introduce")
    applying.execute("switch")
    applying.execute("verify")
    lamps.WORLD["green"] = "off"
    with pytest.raises(AirflowException, match="K901 green: expected on, saw off") as problem:
        applying.execute("verify")
    assert not isinstance(problem.value, AirflowFailException), "a measurement is worth another try"
    assert [outcome["state"] for outcome in applying.xcom("verify", "outcomes")] == ["pass", "fail"]


@pytest.mark.parametrize("run_type", ["manual", "scheduled"])
def test_a_run_that_only_plans_measures_what_has_to_hold_anyway_and_fails_by_it_when_nobody_reads_its_plan(
    run_type: str,
) -> None:
    run = Run(run_type=run_type)
    run.execute("preflight")
    with pytest.raises(DownstreamTasksSkipped):
        run.execute("plan")
    with pytest.raises(AirflowException, match="K901 red") if run_type == "scheduled" else nullcontext():
        run.execute("verify")
    assert [outcome["subject"] for outcome in run.xcom("verify", "outcomes")] == ["red"]
    lamps.WORLD["red"] = "on"
    run.execute("verify")


def test_a_plan_that_is_named_for_a_run_that_changes_nothing_is_refused() -> None:
    with pytest.raises(AirflowFailException, match="the mode is plan, which changes nothing: choose apply"):
        Run(plan_id="0" * 12).execute("preflight")
