"""A phase of an operation gives the same in the worker and in a tool pod."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.exceptions import AirflowException, AirflowFailException, DownstreamTasksSkipped, TaskDeferred

from infra_ops.__main__ import main
from infra_ops.airflow.tool_pod import ToolPod
from infra_ops.models.outcomes import State
from tests.unit.infra_ops.airflow import lamps
from tests.unit.infra_ops.airflow.conftest import Run


class Pods:
    """Instead of pods: what one would run is run when the test says so."""

    def __init__(self) -> None:
        self.started: list[ToolPod] = []

    def execute(self, pod: ToolPod, context: dict[str, Any]) -> None:
        self.started.append(pod)
        raise TaskDeferred(trigger=None, method_name="trigger_reentry")

    def end(self, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
        """The last started pod to its end; what it returns."""
        capsys.readouterr()
        assert main(self.started[-1].arguments) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return result


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> Pods:
    pods = Pods()
    monkeypatch.setattr(ToolPod, "execute", lambda pod, context: pods.execute(pod, context))
    monkeypatch.setattr(ToolPod, "trigger_reentry", lambda pod, context, event, begun_in_try: event)
    return pods


class InPods:
    """A run of the lamps' runbook whose phases run in pods."""

    def __init__(self, pods: Pods, capsys: pytest.CaptureFixture[str], **wishes: Any) -> None:
        self.run, self._pods, self._capsys = Run(pods="reader", **wishes), pods, capsys

    def execute(self, task: str) -> None:
        """The task until it waits, the pod to its end, the task to its end."""
        with pytest.raises(TaskDeferred):
            self.run.execute(task)
        self.run.execute(task, "trigger_reentry", event=self._pods.end(self._capsys), begun_in_try=1)


def test_a_whole_run_in_pods_does_what_it_does_in_the_worker(pods: Pods, capsys: pytest.CaptureFixture[str]) -> None:
    run = InPods(pods, capsys, mode="apply")
    for task in ("preflight", "plan", "introduce", "switch", "verify"):
        run.execute(task)
    assert lamps.WORLD == {"red": "on", "green": "on"}
    assert [outcome["state"] for outcome in run.run.xcom("verify", "outcomes")] == ["pass", "pass"]
    beside = Run(mode="apply")
    lamps.reset()
    beside.execute("preflight")
    beside.execute("plan")
    assert run.run.xcom("plan", "plan") == beside.xcom("plan", "plan")


def test_a_run_that_only_plans_skips_its_steps(pods: Pods, capsys: pytest.CaptureFixture[str]) -> None:
    run = InPods(pods, capsys)
    run.execute("preflight")
    with pytest.raises(DownstreamTasksSkipped):
        run.execute("plan")
    assert lamps.WORLD["red"] == "off"


def test_what_is_refused_in_the_pod_is_not_tried_again(pods: Pods, capsys: pytest.CaptureFixture[str]) -> None:
    run = InPods(pods, capsys, mode="apply")
    run.execute("preflight")
    run.execute("plan")
    lamps.WORLD["red"] = "broken"
    with pytest.raises(AirflowFailException, match="lamp red is 'broken'"):
        run.execute("introduce")
    assert "lamp red is 'broken'" in run.run.xcom("introduce", "problem")


def test_what_cannot_be_seen_from_the_pod_is_worth_another_try(pods: Pods, capsys: pytest.CaptureFixture[str]) -> None:
    lamps.GROUND["current"] = State.UNKNOWN
    with pytest.raises(AirflowException, match="The ground does not hold") as problem:
        InPods(pods, capsys, mode="apply").execute("preflight")
    assert not isinstance(problem.value, AirflowFailException)


def test_a_retry_asks_anew_although_airflow_resumes_it_with_the_old_event(
    pods: Pods, capsys: pytest.CaptureFixture[str]
) -> None:
    run = InPods(pods, capsys, mode="apply")
    run.execute("preflight")
    run.run.instance.try_number = 2
    with pytest.raises(TaskDeferred):
        run.run.execute("plan", "trigger_reentry", event={"status": "failed"}, begun_in_try=1)
    assert len(pods.started) == 2


def test_kubernetes_ends_the_pod_when_the_task_should_have_ended(
    pods: Pods, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow 3.0.2 does not enforce execution_timeout on a task that waits."""
    run = InPods(pods, capsys)
    run.execute("preflight")
    timeout = run.run.dag.get_task("preflight").execution_timeout
    assert timeout
    assert pods.started[0].deadline_seconds == timeout.total_seconds()
    assert pods.started[0].patient
