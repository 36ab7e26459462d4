"""The leaf of every runbook: its state is the run's."""

from __future__ import annotations

from typing import Any

from airflow.exceptions import AirflowFailException
from airflow.sdk import BaseOperator, Context

from infra_ops.airflow.request import APPLY
from infra_ops.airflow.runs import task_states


class Verdict(BaseOperator):
    """Fails unless all steps and `verify` succeeded, with what each failed task said. Pushes XCom `verdict`."""

    def __init__(self, *, steps: list[str], **kwargs: Any) -> None:
        super().__init__(trigger_rule="all_done", **kwargs)
        self.steps = steps

    def execute(self, context: Context) -> None:
        instance = context["ti"]
        mode = instance.xcom_pull(task_ids="preflight", key="mode") or {}
        plan = instance.xcom_pull(task_ids="plan", key="plan") or {}
        states = task_states(context)
        del states[self.task_id]
        bad = shortcomings(states, self.steps, applies=mode.get("name") == APPLY, planned=bool(plan.get("steps")))
        reasons = []
        for task, what in bad.items():
            problem = instance.xcom_pull(task_ids=task, key="problem")
            reasons.append(f"{task} {what}: {problem}" if problem else f"{task} {what}")
        instance.xcom_push(key="verdict", value={"state": "fail" if reasons else "pass", "reasons": reasons})
        if reasons:
            raise AirflowFailException("\n".join(reasons))
        self.log.info("The run did what it was to do: %s.", mode.get("name"))


def shortcomings(states: dict[str, str | None], steps: list[str], *, applies: bool, planned: bool) -> dict[str, str]:
    """The tasks that keep a run from being good, each with what became of it.

    `applies`: the run was to change things; `planned`: there were things to change.
    """
    if failed := {task: "failed" for task, state in states.items() if state == "failed"}:
        return failed
    needed = ["preflight", "plan", *(steps if applies and planned else []), "verify", "record"]
    return {task: f"was {states.get(task) or 'not run'}" for task in needed if states.get(task) != "success"}
