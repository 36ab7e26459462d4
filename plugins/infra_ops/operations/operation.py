"""What a runbook asks of the operation that it carries out (its tasks in airflow/ call it, one method a task)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from infra_ops.models.inventory import Inventory
from infra_ops.models.outcomes import Outcome
from infra_ops.models.plans import Plan
from infra_ops.operations.actions import Action


@dataclass(frozen=True)
class Request:
    """One run's wish. `run` is `dag/run`; `params` are what its starter asked for.

    `plan` is None until the run has one. From then on the operation tells the steps of that plan, derived from its
    arguments, even when the world has moved on and all of them are done.
    """

    run: str
    params: Mapping[str, Any]
    inventory: Inventory
    plan: Plan | None = None


@dataclass(frozen=True)
class Work:
    """The actions by group, in order; a group is what one task does.

    `arguments` are the plan's (see Plan); `nothing_to_do` says why the rest needs no step. `subjects` are what each
    sensor waits for (ids of credentials), by the sensor's task id.
    """

    groups: Mapping[str, Sequence[Action]]
    subjects: Mapping[str, Sequence[str]] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    nothing_to_do: tuple[str, ...] = ()

    def actions(self) -> list[Action]:
        """All of them, in order."""
        return [action for group in self.groups.values() for action in group]

    def plan(self, runbook: str) -> Plan:
        """The plan that these actions amount to."""
        return Plan(runbook, tuple(action.step for action in self.actions()), self.arguments, self.nothing_to_do)


class Operation(Protocol):
    """Made anew for every task. Methods raise Problem when they cannot see, Refusal when somebody has to decide."""

    def __init__(self, request: Request) -> None: ...

    def preflight(self) -> list[Outcome]:
        """What must hold before anything is changed: versions, backups, that we keep the ground we stand on."""
        ...

    def work(self) -> Work:
        """What there is to do now; once the run has a plan, that plan's steps."""
        ...

    def reversible(self) -> Sequence[Action]:
        """What a failed run takes back as things are now; nothing when the only good way is on."""
        ...

    def standing(self) -> list[Outcome]:
        """What has to hold whether or not anything is changed: runs that only plan measure it instead of `verify`."""
        ...

    def verify(self) -> list[Outcome]:
        """Measures that the wanted state is reached, not that steps were done."""
        ...
