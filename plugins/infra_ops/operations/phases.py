"""The phases of an operation, as the tasks of a runbook ask for them: in the worker itself, or in a pod that has tools.

A Call and its answer are plain data, so that both can travel into a pod and back. Neither holds a secret.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from infra_ops import include
from infra_ops.clients.effects import Effects
from infra_ops.models.plans import Plan, PlanRefused
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import carry_out, first_missing, refuse_third_states, take_back
from infra_ops.operations.operation import Operation, Request

Say = Callable[[str], None]


@dataclass(frozen=True)
class Call:
    """What a task wants of the operation at the dotted path `operation`, for the run `run` (`dag/run`).

    `plan` is the run's plan as XCom has it, None before there is one. `group` is what the phase apply carries out.
    Unless `applies`, nothing may be written, and the phase verify measures what has to hold anyway.
    """

    phase: str
    operation: str
    run: str
    params: Mapping[str, Any]
    applies: bool = False
    plan: dict[str, Any] | None = None
    group: str = ""


@dataclass
class _Work:
    """A call with what it needs: the operation made for this run, and a way to tell people how it goes."""

    call: Call
    say: Say
    operation: Operation = field(init=False)

    def __post_init__(self) -> None:
        made = pkgutil.resolve_name(self.call.operation)
        plan = Plan.from_dict(self.call.plan) if self.call.plan else None
        self.operation = made(Request(self.call.run, self.call.params, include.inventory(), plan))

    @property
    def runbook(self) -> str:
        return self.call.run.partition("/")[0]

    def effects(self) -> Effects:
        """The gateway by which the run writes: journalled, while it holds the Lease, and not when it only plans."""
        from infra_ops.clients.journal import RunJournal
        from infra_ops.clients.kubernetes import Cluster
        from infra_ops.clients.lease import ChangeLease
        from infra_ops.clients.retries import Patience

        cluster = Cluster(patience=Patience.through_a_restart())  # a step may have restarted the API server
        journal, lease = RunJournal(cluster, self.call.run), ChangeLease(cluster, self.call.run)
        return Effects(journal, lease.check, plan_only=not self.call.applies)


def answer(call: Call, say: Say) -> dict[str, Any]:
    """What the phase comes to, as JSON-able data: `outcomes`, or `plan` and what belongs to it.

    Raises Problem when it cannot see or do, Refusal when somebody has to decide, DocumentError for the inventory.
    """
    return _PHASES[call.phase](_Work(call, say))


def _preflight(work: _Work) -> dict[str, Any]:
    return {"outcomes": [outcome.as_dict() for outcome in work.operation.preflight()]}


def _plan(work: _Work) -> dict[str, Any]:
    """`refused` is the sentence about a target in a state that the plan does not know; people want to see both."""
    wanted = work.operation.work()
    told = {
        "plan": wanted.plan(work.runbook).as_dict(),
        "subjects": {task: list(each) for task, each in wanted.subjects.items()},
    }
    try:
        refuse_third_states(wanted.actions())
    except PlanRefused as refusal:
        return {**told, "refused": str(refusal)}
    return told


def _apply(work: _Work) -> dict[str, Any]:
    """Carries out the group, as far as it is not done yet."""
    wanted = work.operation.work()
    planned, now = work.call.plan or {}, wanted.plan(work.runbook)
    if now.id != planned.get("id"):
        raise Refusal(f"The plan of this run was {planned.get('id')}. Somebody changed the world since:\n{now.text()}")
    for group, actions in takewhile(lambda item: item[0] != work.call.group, wanted.groups.items()):
        if missing := first_missing(actions):
            raise Refusal(f"{missing} It was taken back: clear {group} and what comes after it, too.")
    carry_out(wanted.groups[work.call.group], work.effects(), work.say)
    return {}


def _undo(work: _Work) -> dict[str, Any]:
    """Takes back what was done, as far as that is the good way."""
    actions = work.operation.reversible()
    if not actions:
        raise Refusal(
            "Nothing is taken back: from here the good way is on. Mend the cause and start the runbook again; "
            "it goes on where this run stopped."
        )
    take_back(actions, work.effects(), work.say)
    return {}


def _verify(work: _Work) -> dict[str, Any]:
    outcomes = work.operation.verify() if work.call.applies else work.operation.standing()
    return {"outcomes": [outcome.as_dict() for outcome in outcomes]}


_PHASES: dict[str, Callable[[_Work], dict[str, Any]]] = {
    "preflight": _preflight,
    "plan": _plan,
    "apply": _apply,
    "undo": _undo,
    "verify": _verify,
}
