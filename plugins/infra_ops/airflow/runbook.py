"""The convention of all runbooks. A DAG file names its operation and the steps; the rest is the same everywhere:

with DAG("rotate_credentials", **runbook("credentials", operation="…", doc=DOC)):
    carried_out(Apply(task_id="introduce"), CheckSensor(task_id="accepted", check="K010"), …)

preflight -> plan -> steps -> verify -> record -> verdict
                       \\---> undo ----/
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from airflow.sdk import BaseOperator, Param, chain

from infra_ops.airflow.areas import worker_pod
from infra_ops.airflow.planning import MakePlan
from infra_ops.airflow.preflight import Preflight
from infra_ops.airflow.record import Record
from infra_ops.airflow.steps import Undo, Verify
from infra_ops.airflow.verdict import Verdict

APPROVALS = {
    "self": "Leave it empty and a run in mode apply carries out what it plans.",
    "named_plan": "A run that only plans shows it. Without it nothing is changed.",
}
TRIAGE = """
- `preflight`: *has no parameter*: a key of the run's configuration is misspelt. *Is changing the cluster*: wait for the
  run named, or fail it; two changes at once cannot be told apart. *The ground does not hold*: mend what it names first.
- `plan`: the log shows the plan. *No longer what would be done*: look at the new plan and approve that one.
- `undo`: runs after a failed step. *There is no way back*, *the good way is on*: mend the cause, start a new run.
- `verify`: all was done and the measurement says otherwise, or a scheduled run that only plans finds something overdue;
  each sentence names a check of `include/checks.yaml`.
- `record`: the API server did not take the evidence; clear it when the server is back.
- `verdict`: repeats what the failed tasks said. XCom `report` of `record` has the whole story of the run.

Every task decides from the state of the world: clear the failed one with its downstream, the first step if `undo`
succeeded, or start a new run. Let the run end first: a task whose process was killed fails at once, and `undo` starts.
"""


def runbook(
    area: str,
    *,
    operation: str,
    doc: str,
    account: str = "",
    pods: str = "",
    approval: Literal["self", "named_plan"] = "self",
    schedule: str | None = None,
    params: dict[str, Param] | None = None,
    timeout: timedelta = timedelta(hours=2),
) -> dict[str, Any]:
    """The arguments of a runbook's DAG.

    `operation` is the dotted path of an Operation (operations/operation.py). `approval`: a runbook carries out its own
    plan, or wants a person to name it. `schedule` is a cron expression; a scheduled run changes things only where the
    inventory lists the runbook under `unattended`, otherwise it plans. `doc` ends in the triage notes of the steps.
    `account` is for a runbook that must not run as its area's account: it names another pod template. `pods` is for an
    operation that needs tools: it names the template of the tool pods in which all of its phases run.
    """
    return {
        "schedule": schedule,
        "catchup": False,
        "max_active_runs": 1,
        "dagrun_timeout": timeout,
        "default_args": {
            "owner": "infra-ops",
            "retries": 2,
            "retry_delay": timedelta(seconds=20),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=5),
            "execution_timeout": timedelta(minutes=15),
            "executor_config": worker_pod(account or area),
            "area": area,
            "operation": operation,
            "pods": pods,
            "approval": approval,
        },
        "params": {
            "mode": Param(
                "plan",
                type="string",
                enum=["plan", "apply"],
                title="Mode",
                description="plan: show what would be changed, and change nothing. apply: change it.",
            ),
            "plan_id": Param(
                None,
                type=["null", "string"],  # the form of 3.0.2 demands a value for anything else
                pattern="^[0-9a-f]{12}$",
                title="Approved plan",
                description=f"The id of the plan to apply; refused when it is no longer current. {APPROVALS[approval]}",
            ),
            **(params or {}),
        },
        "tags": ["runbook", area, *([account] if account else [])],
        "doc_md": f"{doc.strip()}\n{TRIAGE.strip()}\n",
    }


def carried_out(*steps: BaseOperator) -> None:
    """Wires the steps of the DAG that is being defined into the tasks that every runbook has."""
    names = [step.task_id for step in steps]
    preflight = _task(Preflight, task_id="preflight")
    plan = _task(MakePlan, task_id="plan", steps=names)
    verify = _task(Verify, task_id="verify", trigger_rule="none_failed")
    undo = _task(Undo, task_id="undo", trigger_rule="one_failed")
    record = _task(Record, task_id="record", steps=names)
    verdict = _task(Verdict, task_id="verdict", steps=names)
    chain(preflight, plan, *steps, verify, record, verdict)
    for step in steps:
        step >> undo
    undo >> record


def _task(kind: type[BaseOperator], **arguments: Any) -> BaseOperator:
    """Operation, approval and area come from the DAG's default_args."""
    return kind(**arguments)
