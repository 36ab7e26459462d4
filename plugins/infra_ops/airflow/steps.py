"""The tasks of a runbook that carry out its operation: apply, undo, verify."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from airflow.exceptions import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from infra_ops.airflow.explained import explained
from infra_ops.airflow.request import APPLY, PLAN, Mode, effects, operation, planned, push_outcomes, take_lease
from infra_ops.airflow.runs import task_states
from infra_ops.models.outcomes import not_passed
from infra_ops.models.problems import Problem, Refusal


class Apply(BaseOperator):
    """Carries out the group of actions that has this task's name, as far as it is not done yet.

    It decides from the state of the world only, so it may be killed anywhere and cleared: also when the run had failed
    by then and had given the Lease back, or had taken back what earlier steps did.
    """

    def __init__(self, *, operation: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation = operation

    def execute(self, context: Context) -> None:
        from infra_ops.operations.actions import carry_out, first_missing

        with explained(context):
            plan = planned(context)
            work = operation(self.operation, context, plan).work()
            if (now := work.plan(self.dag_id)).id != plan.id:
                raise Refusal(f"The plan of this run was {plan.id}. Somebody changed the world since:\n{now.text()}")
            if Mode.of(context).name == APPLY:
                take_lease(context)
            for group, actions in takewhile(lambda item: item[0] != self.task_id, work.groups.items()):
                if missing := first_missing(actions):
                    raise Refusal(f"{missing} It was taken back: clear {group} and what comes after it, too.")
            carry_out(work.groups[self.task_id], effects(context), self.log.info)


class Undo(BaseOperator):
    """Takes back what a failed run did, as far as that is the good way; otherwise fails and says so."""

    def __init__(self, *, operation: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation = operation

    def execute(self, context: Context) -> None:
        from infra_ops.operations.actions import take_back

        if task_states(context).get("plan") != "success":
            raise AirflowSkipException("This run has done nothing: it did not get past its plan.")
        with explained(context):
            actions = operation(self.operation, context, planned(context)).reversible()
            if not actions:
                raise Refusal(
                    "Nothing is taken back: from here the good way is on. Mend the cause and start the runbook again; "
                    "it goes on where this run stopped."
                )
            take_back(actions, effects(context), self.log.info)


class Verify(BaseOperator):
    """Measures whether the wanted state is reached. Fails when an outcome is no pass, so that it is tried again.

    A run that only plans measures what has to hold anyway, and fails by it when nobody started it: then nobody reads
    its plan, and what is overdue has to be seen.
    """

    def __init__(self, *, operation: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation = operation

    def execute(self, context: Context) -> None:
        with explained(context):
            work, plans = operation(self.operation, context, planned(context)), Mode.of(context).name == PLAN
            outcomes = work.standing() if plans else work.verify()
            push_outcomes(context, outcomes)
            for outcome in outcomes:
                self.log.info("%s: %s", outcome.state.value, outcome.sentence())
            bad = not_passed(outcomes)
            if bad and not (plans and context["dag_run"].run_type == "manual"):
                raise Problem("\n".join(outcome.sentence() for outcome in bad))
