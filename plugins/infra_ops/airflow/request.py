"""What a task of a runbook knows of its run: who asked for what, and may it change anything?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.sdk import Context

from infra_ops.airflow.runs import has_ended, run_name
from infra_ops.models.outcomes import Outcome

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


def take_lease(context: Context) -> None:
    """Makes this run the one that may change things. Raises ChangeInProgress when another one is at it."""
    from infra_ops.clients.kubernetes import Cluster
    from infra_ops.clients.lease import ChangeLease
    from infra_ops.clients.retries import Patience

    cluster = Cluster(patience=Patience.through_a_restart())
    ChangeLease(cluster, run_name(context)).acquire(lambda run: has_ended(context["ti"], run))


def take_outcomes(context: Context, answer: dict[str, Any]) -> list[Outcome]:
    """The outcomes of a phase's answer; leaves them for `record`."""
    context["ti"].xcom_push(key="outcomes", value=answer["outcomes"])
    return [Outcome.from_dict(value) for value in answer["outcomes"]]
