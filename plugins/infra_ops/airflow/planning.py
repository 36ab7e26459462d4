"""The second task of a runbook: what would be changed, and is that what was approved?"""

from __future__ import annotations

from typing import Any

from airflow.exceptions import DownstreamTasksSkipped
from airflow.sdk import Context

from infra_ops.airflow.phase import Phase
from infra_ops.airflow.request import PLAN, Mode
from infra_ops.models.plans import Plan
from infra_ops.models.problems import Refusal


class MakePlan(Phase):
    """Pushes XCom `plan` and, for the sensors, `subjects`; shows the plan in its log.

    Skips `steps` when there is nothing to do, and when the run only plans.
    """

    phase = "plan"

    def __init__(self, *, approval: str, steps: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approval = approval
        self.steps = steps

    def answered(self, context: Context, answer: dict[str, Any]) -> None:
        plan = Plan.from_dict(answer["plan"])
        context["ti"].xcom_push(key="plan", value=plan.as_dict())
        context["ti"].xcom_push(key="subjects", value=answer["subjects"])
        self.log.info("%s", plan.text())
        if sentence := answer.get("refused"):
            raise Refusal(sentence)
        only_planned = Mode.of(context).name == PLAN
        if not only_planned:
            refuse_unapproved(plan, context["params"]["plan_id"] or "", self.approval)
        if only_planned or not plan.steps:
            raise DownstreamTasksSkipped(tasks=self.steps)


def refuse_unapproved(plan: Plan, approved: str, approval: str) -> None:
    """Raises Refusal unless this is the plan that was named; a runbook that approves itself needs no name."""
    if not approved and approval == "named_plan" and plan.steps:
        raise Refusal(f"Somebody has to approve this plan: start the run again with plan_id {plan.id}.\n{plan.text()}")
    if approved and approved != plan.id:
        raise Refusal(f"Plan {approved} is no longer what would be done. Look at the new one:\n{plan.text()}")
