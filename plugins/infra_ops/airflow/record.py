"""The last but one task of a runbook: keeps what the run found, and gives the Lease back."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, Context

from infra_ops.airflow.evidence import asset, origin, store
from infra_ops.airflow.explained import explained
from infra_ops.airflow.report import report
from infra_ops.airflow.request import APPLY, Mode
from infra_ops.airflow.runs import run_name, task_states
from infra_ops.models.outcomes import Outcome, newest


class Record(BaseOperator):
    """Publishes all outcomes of the run, once, whatever became of it; never fails because a check failed.

    `steps` are the tasks that change something or wait for a change. Pushes XCom `report`, a Markdown text.
    """

    def __init__(self, *, area: str, steps: list[str], **kwargs: Any) -> None:
        super().__init__(trigger_rule="all_done", outlets=[asset(area)], **kwargs)
        self.area = area
        self.steps = steps

    def execute(self, context: Context) -> None:
        with explained(context):
            self._record(context)

    def _record(self, context: Context) -> None:
        from infra_ops.clients.journal import RunJournal
        from infra_ops.clients.kubernetes import Cluster
        from infra_ops.clients.lease import ChangeLease
        from infra_ops.clients.retries import Patience

        instance, run = context["ti"], run_name(context)
        cluster = Cluster(patience=Patience.through_a_restart())
        mode = instance.xcom_pull(task_ids="preflight", key="mode")
        plan = instance.xcom_pull(task_ids="plan", key="plan")
        outcomes = self._outcomes(context)
        store().add(outcomes)
        context["outlet_events"][asset(self.area)].extra = {
            "origin": origin(),
            "run": run,
            "mode": mode["name"] if mode else "",
            "plan": plan["id"] if plan else "",
            "outcomes": [outcome.as_dict() for outcome in outcomes],
        }
        entries = []
        if mode and Mode(**mode).name == APPLY:
            entries = RunJournal(cluster, run).entries()
            if not half_done(task_states(context), self.steps):
                ChangeLease(cluster, run).release()
        instance.xcom_push(key="report", value=report(run, mode, plan, entries, outcomes))

    def _outcomes(self, context: Context) -> list[Outcome]:
        pulled = [
            context["ti"].xcom_pull(task_ids=task, key="outcomes") or []
            for task in ("preflight", *self.steps, "verify")
        ]
        return newest(Outcome.from_dict(value) for values in pulled for value in values)


def half_done(states: dict[str, str | None], steps: list[str]) -> bool:
    """A step failed and was not taken back: the Lease stays with this run, so that clearing it goes on safely."""
    return any(states.get(step) == "failed" for step in steps) and states.get("undo") != "success"
