"""The state of a run is its verdict's: good only when everything that had to happen did."""

from __future__ import annotations

import pytest
from airflow.exceptions import AirflowFailException, DownstreamTasksSkipped

from tests.unit.infra_ops.airflow import lamps
from tests.unit.infra_ops.airflow.conftest import Run

GOOD = {
    "preflight": "success",
    "plan": "success",
    "introduce": "success",
    "accepted": "success",
    "switch": "success",
    "verify": "success",
    "undo": "skipped",
    "record": "success",
}
PLANNED = GOOD | dict.fromkeys(("introduce", "accepted", "switch"), "skipped")


def reasons(run: Run, states: dict[str, str]) -> list[str]:
    """Why the run is bad; nothing when it is good."""
    run.instance.states |= states
    said = ""
    try:
        run.execute("verdict")
    except AirflowFailException as error:
        said = str(error)
    verdict = run.xcom("verdict", "verdict")
    assert verdict == {"state": "fail" if said else "pass", "reasons": said.splitlines()}
    return said.splitlines()


def test_a_run_that_did_everything_is_good(applying: Run) -> None:
    assert reasons(applying, GOOD) == []


@pytest.mark.parametrize("task", GOOD)
def test_a_run_in_which_any_task_failed_is_bad(task: str, applying: Run) -> None:
    assert reasons(applying, GOOD | {task: "failed"}) == [f"{task} failed"]


@pytest.mark.parametrize("task", ["introduce", "accepted", "switch", "verify"])
def test_a_run_that_was_to_change_things_and_skipped_a_step_is_bad(task: str, applying: Run) -> None:
    assert reasons(applying, GOOD | {task: "skipped"}) == [f"{task} was skipped"]


def test_the_verdict_repeats_what_the_failed_task_said(applying: Run) -> None:
    lamps.WORLD["red"] = "broken"
    with pytest.raises(AirflowFailException):
        applying.execute("introduce")
    behind = dict.fromkeys(("accepted", "switch", "verify"), "upstream_failed")
    (reason,) = reasons(applying, GOOD | behind | {"introduce": "failed"})
    assert reason.startswith("introduce failed: switch.red: lamp red is 'broken'")


def test_a_run_that_only_planned_is_good_with_all_steps_skipped() -> None:
    run = Run()
    run.execute("preflight")
    with pytest.raises(DownstreamTasksSkipped):
        run.execute("plan")
    assert reasons(run, PLANNED) == []


def test_a_run_that_found_nothing_to_do_is_good_if_the_state_was_measured() -> None:
    lamps.WORLD.update(red="on", green="on")
    run = Run(mode="apply")
    run.execute("preflight")
    with pytest.raises(DownstreamTasksSkipped):
        run.execute("plan")
    assert reasons(run, PLANNED) == []
    assert reasons(run, PLANNED | {"verify": "skipped"}) == ["verify was skipped"]


def test_a_run_that_never_got_a_mode_is_bad() -> None:
    assert reasons(Run(), GOOD | {"preflight": "failed"}) == ["preflight failed"]
