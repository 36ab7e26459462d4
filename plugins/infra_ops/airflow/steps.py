"""The tasks of a runbook that carry out its operation: apply, undo, verify."""

from __future__ import annotations

from typing import Any

from airflow.exceptions import AirflowSkipException
from airflow.sdk import Context

from infra_ops.airflow.phase import Phase
from infra_ops.airflow.request import APPLY, PLAN, Mode, take_lease, take_outcomes
from infra_ops.airflow.runs import task_states
from infra_ops.models.outcomes import not_passed
from infra_ops.models.problems import Problem


class Apply(Phase):
    """Carries out the group of actions that has this task's name, as far as it is not done yet.

    It decides from the state of the world only, so it may be killed anywhere and cleared: also when the run had failed
    by then and had given the Lease back, or had taken back what earlier steps did.
    """

    phase = "apply"

    def begin(self, context: Context) -> None:
        if Mode.of(context).name == APPLY:
            take_lease(context)


class Undo(Phase):
    """Takes back what a failed run did, as far as that is the good way; otherwise fails and says so."""

    phase = "undo"

    def begin(self, context: Context) -> None:
        if task_states(context).get("plan") != "success":
            raise AirflowSkipException("This run has done nothing: it did not get past its plan.")


class Verify(Phase):
    """Measures whether the wanted state is reached. Fails when an outcome is no pass, so that it is tried again.

    A run that only plans measures what has to hold anyway, and fails by it when nobody started it: then nobody reads
    its plan, and what is overdue has to be seen.
    """

    phase = "verify"

    def answered(self, context: Context, answer: dict[str, Any]) -> None:
        outcomes = take_outcomes(context, answer)
        for outcome in outcomes:
            self.log.info("%s: %s", outcome.state.value, outcome.sentence())
        bad = not_passed(outcomes)
        if bad and not (Mode.of(context).name == PLAN and context["dag_run"].run_type == "manual"):
            raise Problem("\n".join(outcome.sentence() for outcome in bad))
