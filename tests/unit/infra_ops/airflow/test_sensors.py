"""Waiting for a check: cheap, patient with outages, and clear in the end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.exceptions import AirflowFailException, TaskDeferralError, TaskDeferred
from airflow.utils.module_loading import import_string

from infra_ops.airflow.triggers import CheckTrigger
from infra_ops.measures import measure
from infra_ops.models.outcomes import Outcome, State
from tests.unit.infra_ops.airflow import lamps
from tests.unit.infra_ops.airflow.conftest import Run

Measure = Callable[[str, Mapping[str, Any]], Outcome]


def trigger(subjects: list[str], *, wait: float = 5) -> CheckTrigger:
    deadline = datetime.now(UTC) + timedelta(seconds=wait)
    return CheckTrigger(
        check="K901", subjects=subjects, arguments={"run": "dag/run"}, seconds=0.01, deadline=deadline.isoformat()
    )


async def first_event(waiting: CheckTrigger) -> list[dict[str, Any]]:
    async for event in waiting.run():
        payload: list[dict[str, Any]] = event.payload
        return payload
    raise AssertionError("the trigger ended without an event")


@pytest.fixture(autouse=True)
def noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Airflow here has to notice that a task has begun to wait."""
    monkeypatch.setattr("infra_ops.airflow.triggers.NOTICED", 0)


@pytest.fixture
def measured_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Measure], None]:
    """Replaces the measuring function of the triggers."""

    def replace(function: Measure) -> None:
        monkeypatch.setattr(
            "infra_ops.airflow.triggers.measure", lambda check, subject, arguments: function(subject, arguments)
        )

    return replace


def test_a_sensor_whose_check_passes_at_once_does_not_wait(applying: Run) -> None:
    lamps.WORLD.update(red="on", green="on")
    applying.execute("accepted")
    assert [outcome["subject"] for outcome in applying.xcom("accepted", "outcomes")] == ["red", "green"]


def test_a_sensor_waits_without_a_worker_for_the_subjects_of_the_plan(applying: Run) -> None:
    with pytest.raises(TaskDeferred) as waiting:
        applying.execute("accepted")
    path, arguments = waiting.value.trigger.serialize()
    assert waiting.value.method_name == "measured"
    assert arguments["subjects"] == ["red", "green"]
    again = import_string(path)(**arguments)
    assert again.serialize() == (path, arguments)


def test_a_task_goes_on_only_after_airflow_has_noticed_that_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process ends a moment before a look that is made every 5 s: then the look comes 5 s late."""
    lamps.WORLD.update(red="on", green="on")
    monkeypatch.setattr("infra_ops.airflow.triggers.NOTICED", 0.5)
    began = time.monotonic()
    asyncio.run(first_event(trigger(["red", "green"])))
    assert time.monotonic() - began >= 0.5


def resumed(run: Run, next_method: str, **next_kwargs: Any) -> None:
    """What Airflow does with a deferred task."""
    sensor = run.dag.get_task("accepted")
    run.instance.task_id = "accepted"
    sensor.resume_execution(next_method, next_kwargs, run.context())


def test_a_retry_measures_anew_although_airflow_still_has_the_event_of_the_try_before(applying: Run) -> None:
    stale = asyncio.run(first_event(trigger(["red", "green"], wait=0)))
    applying.instance.try_number = 2
    with pytest.raises(TaskDeferred) as waiting:
        resumed(applying, "measured", event=stale, begun_in_try=1)
    assert waiting.value.kwargs == {"begun_in_try": 2}


def test_the_event_of_this_try_counts(applying: Run) -> None:
    event = asyncio.run(first_event(trigger(["red", "green"], wait=0)))
    with pytest.raises(AirflowFailException, match="Not so within"):
        resumed(applying, "measured", event=event, begun_in_try=1)


def test_a_trigger_that_broke_fails_the_try_and_the_next_one_measures(applying: Run) -> None:
    """Airflow hands the failure of the trigger to every retry, too."""
    with pytest.raises(TaskDeferralError):
        resumed(applying, "__fail__", error="Trigger failure", traceback=["a fault"])
    lamps.WORLD.update(red="on", green="on")
    resumed(applying, "__fail__", error="Trigger failure", traceback=["a fault"])
    assert len(applying.xcom("accepted", "outcomes")) == 2


def test_airflow_ends_a_wait_whose_measurement_hangs(applying: Run) -> None:
    """The trigger ends by itself at its deadline; this is for a triggerer that no longer can."""
    with pytest.raises(TaskDeferred) as waiting:
        applying.execute("accepted")
    assert waiting.value.timeout == timedelta(minutes=12)


def test_a_plan_without_subjects_has_nothing_to_wait_for() -> None:
    run = Run()
    run.execute("accepted")
    assert run.xcom("accepted", "outcomes") == []


def test_the_trigger_ends_as_soon_as_every_subject_has_passed() -> None:
    async def scenario() -> list[dict[str, Any]]:
        event = asyncio.create_task(first_event(trigger(["red", "green"])))
        for lamp in ("red", "green"):
            assert not event.done()
            lamps.WORLD[lamp] = "on"
            await asyncio.sleep(0.05)
        return await event

    assert [outcome["state"] for outcome in asyncio.run(scenario())] == ["pass", "pass"]


def test_a_service_that_is_away_is_neither_a_pass_nor_a_fail() -> None:
    del lamps.WORLD["red"]
    outcome = measure("K901", "red", {"run": "dag/run"})
    assert (outcome.state, outcome.reason) == (State.UNKNOWN, "lamp red does not answer")


def test_the_trigger_waits_an_outage_out() -> None:
    async def scenario() -> list[dict[str, Any]]:
        del lamps.WORLD["red"]
        event = asyncio.create_task(first_event(trigger(["red"])))
        await asyncio.sleep(0.05)
        assert not event.done()
        lamps.WORLD["red"] = "on"
        return await event

    assert [outcome["state"] for outcome in asyncio.run(scenario())] == ["pass"]


def test_at_the_deadline_the_trigger_tells_what_it_saw_last() -> None:
    lamps.WORLD.update(red="on")
    outcomes = asyncio.run(first_event(trigger(["red", "green"], wait=0.05)))
    assert [(outcome["subject"], outcome["state"]) for outcome in outcomes] == [("red", "pass"), ("green", "fail")]


def test_a_trigger_that_starts_again_after_its_deadline_looks_once_more_and_ends() -> None:
    """The triggerer was away for longer than the wait."""
    lamps.WORLD.update(red="on")
    assert asyncio.run(first_event(trigger(["red"], wait=-60)))[0]["state"] == "pass"


def test_what_has_passed_is_not_measured_again(measured_by: Callable[[Measure], None]) -> None:
    """Some measurements are logins."""
    asked: list[str] = []

    def count(subject: str, arguments: Mapping[str, Any]) -> Outcome:
        asked.append(subject)
        return lamps.shines(subject, arguments)

    measured_by(count)
    lamps.WORLD.update(red="on")
    asyncio.run(first_event(trigger(["red", "green"], wait=0.1)))
    assert asked.count("red") == 1
    assert asked.count("green") > 1


def test_measurements_run_one_at_a_time_and_not_in_the_loop_of_all_triggers(
    measured_by: Callable[[Measure], None],
) -> None:
    running, most, threads = 0, 0, set()

    def slow(subject: str, arguments: Mapping[str, Any]) -> Outcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threads.add(threading.current_thread())
        time.sleep(0.02)
        running -= 1
        return lamps.shines(subject, arguments)

    measured_by(slow)
    asyncio.run(first_event(trigger(["red", "green"], wait=0.1)))
    assert most == 1
    assert threading.main_thread() not in threads


def test_a_sensor_that_ran_out_of_time_fails_with_the_last_outcomes_and_is_not_retried(applying: Run) -> None:
    event = asyncio.run(first_event(trigger(["red", "green"], wait=0)))
    with pytest.raises(AirflowFailException, match="Not so within 600 s:\nK901 red: expected on, saw off"):
        applying.execute("accepted", "measured", event=event, begun_in_try=1)
    assert "K901 green" in applying.xcom("accepted", "problem")
    assert len(applying.xcom("accepted", "outcomes")) == 2


def test_a_fault_in_a_measuring_function_is_not_taken_for_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(subject: str, arguments: Mapping[str, Any]) -> Outcome:
        raise TypeError("a fault in the code")

    monkeypatch.setattr(lamps, "shines", broken)
    with pytest.raises(TypeError):
        asyncio.run(first_event(trigger(["red"])))
