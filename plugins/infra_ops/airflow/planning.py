"""The second task of a runbook: what would be changed, and is that what was approved?"""

from __future__ import annotations

from typing import Any

from airflow.exceptions import DownstreamTasksSkipped
from airflow.sdk import BaseOperator, Context

from infra_ops.airflow.explained import explained
from infra_ops.airflow.request import PLAN, Mode, operation
from infra_ops.models.plans import Plan
from infra_ops.models.problems import Refusal


class MakePlan(BaseOperator):
    """Pushes XCom `plan` and, for the sensors, `subjects`; shows the plan in its log.

    Skips `steps` when there is nothing to do, and when the run only plans.
    """

    def __init__(self, *, operation: str, approval: str, steps: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.approval = approval
        self.steps = steps

    def execute(self, context: Context) -> None:
        with explained(context):
            plan = self._plan(context)
            self.log.info("%s", plan.text())
            only_planned = Mode.of(context).name == PLAN
            if not only_planned:
                refuse_unapproved(plan, context["params"]["plan_id"] or "", self.approval)
        if only_planned or not plan.steps:
            raise DownstreamTasksSkipped(tasks=self.steps)

    def _plan(self, context: Context) -> Plan:
        from infra_ops.operations.actions import refuse_third_states

        work = operation(self.operation, context).work()
        plan = work.plan(self.dag_id)
        context["ti"].xcom_push(key="plan", value=plan.as_dict())
        subjects = {task: list(each) for task, each in work.subjects.items()}
        context["ti"].xcom_push(key="subjects", value=subjects)
        refuse_third_states(work.actions())
        return plan


def refuse_unapproved(plan: Plan, approved: str, approval: str) -> None:
    """Raises Refusal unless this is the plan that was named; a runbook that approves itself needs no name."""
    if not approved and approval == "named_plan" and plan.steps:
        raise Refusal(f"Somebody has to approve this plan: start the run again with plan_id {plan.id}.\n{plan.text()}")
    if approved and approved != plan.id:
        raise Refusal(f"Plan {approved} is no longer what would be done. Look at the new one:\n{plan.text()}")
