"""What a task of a runbook knows of its run: who asked for what, and what is planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context
from airflow.utils.module_loading import import_string

from infra_ops.airflow.runs import has_ended, run_name
from infra_ops.models.plans import Plan

if TYPE_CHECKING:
    from infra_ops.clients.effects import Effects
    from infra_ops.operations.operation import Operation

PLAN, APPLY = "plan", "apply"
CONTROLS = ("mode", "plan_id")  # the params of every runbook; the others are the operation's


@dataclass(frozen=True)
class Mode:
    """Whether the run may change anything, and why."""

    name: str
    why: str

    @classmethod
    def of(cls, context: Context) -> Mode:
        """As `preflight` decided it for this run."""
        return cls(**context["ti"].xcom_pull(task_ids="preflight", key="mode"))


def planned(context: Context) -> Plan:
    """The plan that this run carries out."""
    return Plan.from_dict(context["ti"].xcom_pull(task_ids="plan", key="plan"))


def operation(path: str, context: Context, plan: Plan | None = None) -> Operation:
    """The operation at the dotted `path`, made for this run. Raises DocumentError when the inventory has a fault."""
    from infra_ops import include
    from infra_ops.operations.operation import Request

    params = {name: value for name, value in context["params"].items() if name not in CONTROLS}
    made: Operation = import_string(path)(Request(run_name(context), params, include.inventory(), plan))
    return made


def take_lease(context: Context) -> None:
    """Makes this run the one that may change things. Raises ChangeInProgress when another one is at it."""
    from infra_ops.clients.kubernetes import Cluster
    from infra_ops.clients.lease import ChangeLease

    ChangeLease(Cluster(), run_name(context)).acquire(lambda run: has_ended(context["ti"], run))


def effects(context: Context) -> Effects:
    """The gateway by which this run writes: with its journal, while it holds the Lease, and not in plan mode."""
    from infra_ops.clients.effects import Effects
    from infra_ops.clients.journal import RunJournal
    from infra_ops.clients.kubernetes import Cluster
    from infra_ops.clients.lease import ChangeLease

    cluster, run = Cluster(), run_name(context)
    only_planned = Mode.of(context).name == PLAN
    return Effects(RunJournal(cluster, run), ChangeLease(cluster, run).check, plan_only=only_planned)


def push_outcomes(context: Context, outcomes: list[Any]) -> None:
    """Leaves outcomes for `record`."""
    context["ti"].xcom_push(key="outcomes", value=[outcome.as_dict() for outcome in outcomes])
