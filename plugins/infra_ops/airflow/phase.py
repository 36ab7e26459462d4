"""A task of a runbook that asks the runbook's operation for one of its phases."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, Context

from infra_ops.airflow.explained import explained
from infra_ops.airflow.request import APPLY, CONTROLS, Mode
from infra_ops.airflow.runs import run_name
from infra_ops.airflow.tool_pod import ToolPod
from infra_ops.models.problems import Problem, Refusal

if TYPE_CHECKING:
    from infra_ops.operations.phases import Call


class Phase(BaseOperator):
    """Runs the phase in the worker; when the runbook names tool `pods`, in one of these, while no worker waits.

    Whatever asks Airflow (mode, Lease, XComs) stays in the worker: `begin` before the phase, `answered` after it.
    """

    phase: ClassVar[str]

    def __init__(self, *, operation: str, pods: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.pods = pods
        self._pod: ToolPod | None = None

    def begin(self, context: Context) -> None:
        """What has to be so before the phase is asked for. Raises Problem."""

    def answered(self, context: Context, answer: dict[str, Any]) -> None:
        """Takes what the phase came to. Raises Problem when that is not good."""

    def execute(self, context: Context) -> None:
        with explained(context):
            self.begin(context)
            call = self._call(context)
            if not self.pods:
                from infra_ops.operations.phases import answer

                self.answered(context, answer(call, self.log.info))
                return
        self._tool(json.dumps(asdict(call))).execute(context)

    def trigger_reentry(self, context: Context, event: dict[str, Any], begun_in_try: int) -> None:
        """Airflow comes back here when the pod has ended."""
        if begun_in_try != context["ti"].try_number:  # see ToolPod
            self.execute(context)
            return
        answer = self._tool("").trigger_reentry(context, event, begun_in_try)
        with explained(context):
            if sentence := answer.get("problem"):
                raise (Refusal if answer["final"] else Problem)(sentence)
            self.answered(context, answer)

    def on_kill(self) -> None:
        if self._pod:
            self._pod.on_kill()

    def _call(self, context: Context) -> Call:
        from infra_ops.operations.phases import Call

        return Call(
            phase=self.phase,
            operation=self.operation,
            run=run_name(context),
            params={name: value for name, value in context["params"].items() if name not in CONTROLS},
            applies=Mode.of(context).name == APPLY,
            plan=None if self.phase in ("preflight", "plan") else context["ti"].xcom_pull(task_ids="plan", key="plan"),
            group=self.task_id,
        )

    def _tool(self, call: str) -> ToolPod:
        # Airflow ends no task that waits; Kubernetes ends its pod.
        assert self.execution_timeout, "the runbook's default_args have one"
        self._pod = ToolPod(
            task_id=self.task_id,
            arguments=["operate", call],
            template=self.pods,
            deadline_seconds=int(self.execution_timeout.total_seconds()),
            patient=True,  # another step may have restarted the API server
        )
        return self._pod
