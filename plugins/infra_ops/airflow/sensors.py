"""Waits for a check to pass while no worker waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context

from infra_ops.airflow.explained import explained
from infra_ops.airflow.runs import run_name
from infra_ops.measures import measure
from infra_ops.models.outcomes import Outcome, not_passed
from infra_ops.models.problems import Refusal

GRACE = timedelta(minutes=2)  # for the last measurement; then something hangs, and Airflow itself ends the wait


class CheckSensor(BaseSensorOperator):
    """Succeeds when `check` has passed for each subject; fails after `timeout` seconds with the last outcomes.

    Without `subjects` these are the subjects of the run's plan. All outcomes become the XCom `outcomes`, from which
    `record` takes them. Unknown (a service is away) is waited out, like a fail.

    It measures once in the worker and only defers when that does not pass. `start_from_trigger` would save the worker,
    but on 3.0.2 its arguments are not rendered, so it cannot know the plan's subjects; its failures ignore retries and
    carry no sentence; and its XComs arrive as text.
    """

    template_fields: Sequence[str] = ("subjects", "arguments")

    def __init__(
        self,
        *,
        check: str,
        subjects: list[str] | None = None,
        arguments: dict[str, Any] | None = None,
        poke_interval: float = 15,
        timeout: float = 600,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.check = check
        self.subjects = subjects
        self.arguments = arguments or {}

    def execute(self, context: Context) -> None:
        subjects = self.subjects
        if subjects is None:
            subjects = context["ti"].xcom_pull(task_ids="plan", key="subjects") or []
        arguments = {**self.arguments, "run": run_name(context)}
        outcomes = [measure(self.check, subject, arguments) for subject in subjects]
        if not not_passed(outcomes):
            self._end(context, outcomes)
            return

        # Importing the trigger costs every parse of a DAG file otherwise.
        from infra_ops.airflow.triggers import CheckTrigger

        wait = timedelta(seconds=self.timeout)
        self.defer(
            trigger=CheckTrigger(
                check=self.check,
                subjects=subjects,
                arguments=arguments,
                seconds=self.poke_interval,
                deadline=(datetime.now(UTC) + wait).isoformat(),
            ),
            method_name="measured",
            timeout=wait + GRACE,
        )

    def measured(self, context: Context, event: list[dict[str, Any]]) -> None:
        """Airflow comes back here with what the trigger saw last."""
        self._end(context, [Outcome.from_dict(value) for value in event])

    def _end(self, context: Context, outcomes: list[Outcome]) -> None:
        context["ti"].xcom_push(key="outcomes", value=[outcome.as_dict() for outcome in outcomes])
        for outcome in outcomes:
            self.log.info("%s: %s", outcome.state.value, outcome.sentence())
        with explained(context):
            if bad := not_passed(outcomes):
                sentences = "\n".join(outcome.sentence() for outcome in bad)
                raise Refusal(f"Not so within {self.timeout:.0f} s:\n{sentences}")
