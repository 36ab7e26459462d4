"""What would be changed is shown, and only what was approved is done."""

from __future__ import annotations

import pytest
from airflow.exceptions import AirflowFailException, DownstreamTasksSkipped

from tests.unit.infra_ops.airflow import lamps
from tests.unit.infra_ops.airflow.conftest import Run

STEPS = ["introduce", "accepted", "switch"]


def started(*, approval: str = "self", **wishes: str) -> Run:
    run = Run(approval, **wishes)
    run.execute("preflight")
    return run


def plan_id() -> str:
    run = started()
    with pytest.raises(DownstreamTasksSkipped):
        run.execute("plan")
    return str(run.xcom("plan", "plan")["id"])


def test_a_run_that_only_plans_skips_every_step_and_changes_nothing() -> None:
    run = started()
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run.execute("plan")
    assert skipped.value.tasks == STEPS
    assert [step["id"] for step in run.xcom("plan", "plan")["steps"]] == ["switch.red", "switch.green"]
    assert lamps.WORLD == {"red": "off", "green": "off"}


def test_a_runbook_that_approves_itself_goes_on_with_what_it_planned() -> None:
    run = started(mode="apply")
    run.execute("plan")
    assert run.xcom("plan", "subjects") == {"accepted": ["red", "green"]}


def test_the_named_plan_is_carried_out() -> None:
    started(approval="named_plan", mode="apply", plan_id=plan_id()).execute("plan")


def test_a_runbook_that_wants_a_named_plan_shows_it_and_stops() -> None:
    with pytest.raises(AirflowFailException, match=rf"start the run again with plan_id {plan_id()}.\nPlan"):
        started(approval="named_plan", mode="apply").execute("plan")


@pytest.mark.parametrize("approval", ["self", "named_plan"])
def test_a_stale_plan_is_refused_and_the_new_one_shown(approval: str) -> None:
    old = plan_id()
    lamps.WORLD["red"] = "on"
    run = started(approval=approval, mode="apply", plan_id=old)
    with pytest.raises(AirflowFailException) as refused:
        run.execute("plan")
    assert f"Plan {old} is no longer what would be done" in str(refused.value)
    assert f"Plan {plan_id()} of lamps: 1 steps\nswitch.green: lamp green: off -> on" in str(refused.value)


def test_when_nothing_is_to_be_done_the_steps_are_skipped_and_the_state_is_still_measured() -> None:
    lamps.WORLD.update(red="on", green="on")
    run = started(mode="apply")
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run.execute("plan")
    assert skipped.value.tasks == STEPS
    assert run.xcom("plan", "plan")["nothing_to_do"] == ["red is on already.", "green is on already."]


def test_a_world_that_no_step_knows_is_refused_before_anything_is_done() -> None:
    lamps.WORLD["green"] = "broken"
    with pytest.raises(AirflowFailException, match="lamp green is 'broken', but the plan knows only 'off' and 'on'"):
        started(mode="apply").execute("plan")
