"""Runs a tool of the toolbox image in a pod of its own, while no worker waits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.exceptions import TaskDeferred
from airflow.sdk import BaseOperator, Context

from infra_ops.shipped import MANIFESTS

if TYPE_CHECKING:
    from infra_ops.airflow.restricted_pod import RestrictedPod

TEMPLATES = MANIFESTS / "infra-ops" / "tool-pods"
IMAGE = "infra-ops/toolbox:0.1.0"  # unless the worker's INFRA_OPS_TOOLBOX_IMAGE names it in a registry
RESULT = "/airflow/xcom/return.json"


class ToolPod(BaseOperator):
    """`python -m infra_ops <arguments>` in a pod; its JSON result becomes the XCom.

    `template` names the file in include/manifests/infra-ops/tool-pods/ that says where, as whom and with what the pod
    runs. The operator reads it when the task runs, and takes the namespace from it because none is given here.

    The pod dies after `deadline_seconds` whatever happens to Airflow: 3.0.2 tells nobody when a waiting task is marked
    failed, and stops no waiting task at its execution_timeout. A second try takes up the pod of the first one if it
    still runs, so an API server that is away costs a try at most and no work; it replaces one whose node is lost.
    `patient` tasks bear an API server that is away for two minutes within one try; others want to tell soon.
    """

    template_fields: Sequence[str] = ("arguments",)

    def __init__(
        self,
        *,
        arguments: list[str],
        template: str = "reader",
        deadline_seconds: int = 300,
        patient: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = arguments
        self.template = template
        self.deadline_seconds = deadline_seconds
        self.patient = patient
        self._running: RestrictedPod | None = None

    def execute(self, context: Context) -> None:
        """Start the pod and hand the waiting to the triggerer (raises TaskDeferred)."""
        self._start(context)

    def trigger_reentry(self, context: Context, event: dict[str, Any], begun_in_try: int) -> Any:
        """Airflow comes back here when the pod has ended; the pod's result."""
        if begun_in_try != context["ti"].try_number:
            # 3.0.2 does not forget the trigger of a try that failed: it resumes its retry with the old event.
            return self._start(context)
        return self._pod().finish(context, event)

    def _start(self, context: Context) -> None:
        try:
            self._pod().start(context)
        except TaskDeferred as waiting:
            waiting.kwargs = {"begun_in_try": context["ti"].try_number}
            raise

    def on_kill(self) -> None:
        if self._running:
            self._running.on_kill()

    def _pod(self) -> RestrictedPod:
        # Importing the pod operator takes seconds and 100 MB, which every parse of a DAG file would pay.
        from infra_ops.airflow.restricted_pod import RestrictedPod

        self._running = RestrictedPod(
            task_id=self.task_id,
            image=os.environ.get("INFRA_OPS_TOOLBOX_IMAGE", IMAGE),
            name=self.task_id,
            cmds=["python", "-m", "infra_ops"],
            arguments=[*self.arguments, "--result", RESULT],
            pod_template_file=str(TEMPLATES / f"{self.template}.yaml"),
            active_deadline_seconds=self.deadline_seconds,
            patient=self.patient,
        )
        return self._running
