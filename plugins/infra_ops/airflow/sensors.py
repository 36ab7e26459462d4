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

    Without `subjects` these are what the run's plan has for this task. All outcomes become the XCom `outcomes`, from
    which `record` takes them. Unknown (a service is away) is waited out, like a fail.

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
        if self._passes_now(context):
            return

        # Importing the trigger costs every parse of a DAG file otherwise.
        from infra_ops.airflow.triggers import CheckTrigger

        wait = timedelta(seconds=self.timeout)
        self.defer(
            trigger=CheckTrigger(
                check=self.check,
                subjects=self._subjects(context),
                arguments=self._arguments(context),
                seconds=self.poke_interval,
                deadline=(datetime.now(UTC) + wait).isoformat(),
            ),
            method_name="measured",
            kwargs={"begun_in_try": context["ti"].try_number},
            timeout=wait + GRACE,
        )

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow comes back here. 3.0.2 does not forget the trigger of a try that failed: retries measure anew."""
        begun_in_try = (next_kwargs or {}).get("begun_in_try")
        if begun_in_try not in (None, context["ti"].try_number):
            return self.execute(context)
        if next_method == "__fail__" and self._passes_now(context):  # the trigger broke, for which nobody knows a try
            return None
        return super().resume_execution(next_method, next_kwargs, context)

    def measured(self, context: Context, event: list[dict[str, Any]], begun_in_try: int | None = None) -> None:
        """What the trigger saw last."""
        self._end(context, [Outcome.from_dict(value) for value in event])

    def _passes_now(self, context: Context) -> bool:
        arguments = self._arguments(context)
        outcomes = [measure(self.check, subject, arguments) for subject in self._subjects(context)]
        if not_passed(outcomes):
            return False
        self._end(context, outcomes)
        return True

    def _subjects(self, context: Context) -> list[str]:
        if self.subjects is not None:
            return self.subjects
        planned = context["ti"].xcom_pull(task_ids="plan", key="subjects") or {}
        return list(planned.get(self.task_id, []))

    def _arguments(self, context: Context) -> dict[str, Any]:
        return {**self.arguments, "run": run_name(context)}

    def _end(self, context: Context, outcomes: list[Outcome]) -> None:
        context["ti"].xcom_push(key="outcomes", value=[outcome.as_dict() for outcome in outcomes])
        for outcome in outcomes:
            self.log.info("%s: %s", outcome.state.value, outcome.sentence())
        with explained(context):
            if bad := not_passed(outcomes):
                sentences = "\n".join(outcome.sentence() for outcome in bad)
                raise Refusal(f"Not so within {self.timeout:.0f} s:\n{sentences}")
