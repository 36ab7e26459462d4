"""The first task of a runbook: may this run start, and may it change anything?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from airflow.sdk import Context

from infra_ops.airflow.phase import Phase
from infra_ops.airflow.request import APPLY, PLAN, Mode, take_lease, take_outcomes
from infra_ops.models.outcomes import State, not_passed
from infra_ops.models.problems import Problem, Refusal


class Preflight(Phase):
    """Refuses unknown parameters, decides the mode, looks whether the ground holds, and takes the Lease.

    Pushes XCom `mode` and the outcomes of what it looked at. A run that only plans takes no Lease.
    """

    phase = "preflight"

    def __init__(self, *, approval: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approval = approval

    def begin(self, context: Context) -> None:
        from infra_ops import include

        run = context["dag_run"]
        refuse_unknown(run.conf or {}, self.dag.params)
        listed = run.dag_id in include.inventory().unattended
        mode = mode_of(
            context["params"]["mode"], by_person=run.run_type == "manual", approval=self.approval, listed=listed
        )
        if mode.name == PLAN and run.run_type == "manual" and (named := context["params"]["plan_id"]):
            raise Refusal(f"Plan {named} is named, but the mode is plan, which changes nothing: choose apply.")
        self.log.info("This run will %s: %s.", mode.name, mode.why)
        context["ti"].xcom_push(key="mode", value=asdict(mode))

    def answered(self, context: Context, answer: dict[str, Any]) -> None:
        if bad := not_passed(take_outcomes(context, answer)):
            # What was measured to be wrong stays wrong; asking again would only count as more wrong logins.
            kind = Refusal if any(outcome.state is State.FAIL for outcome in bad) else Problem
            raise kind("\n".join(["The ground does not hold:", *(outcome.sentence() for outcome in bad)]))
        if Mode.of(context).name == APPLY:
            take_lease(context)


def refuse_unknown(wished: Iterable[str], known: Iterable[str]) -> None:
    """Airflow takes any key; a misspelt one would be ignored, and the run would do something else than was asked."""
    if unknown := sorted(set(wished) - set(known)):
        raise Refusal(f"This runbook has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known))}.")


def mode_of(wished: str, *, by_person: bool, approval: str, listed: bool) -> Mode:
    """What a run may do. `listed`: the inventory has the runbook under `unattended`.

    A run that no person started has no wishes. One that may not change things still plans, which shows what is due: a
    DAG has to be unpaused to be started by hand, so its schedule runs whether it was wanted or not.
    """
    if by_person:
        return Mode(wished, "its starter chose so")
    if approval != "self":
        return Mode(PLAN, "a person has to name the plan, and nobody started this run")
    if not listed:
        return Mode(PLAN, "nobody started it, and the inventory does not list the runbook under `unattended`")
    return Mode(APPLY, "nobody started it, and the inventory lists the runbook under `unattended`")
