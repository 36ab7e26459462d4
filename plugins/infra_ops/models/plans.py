"""What a runbook is going to change, step by step, before it changes anything."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from infra_ops.models.problems import Refusal

ID_LENGTH = 12


@dataclass(frozen=True)
class Step:
    """One change of one target, from the state `before` to the state `after`.

    States are short texts in words of the target ("no password", "svc/postgres_appuser version 2"). They never hold a
    secret, only its path and version, and nothing that changes by itself such as times or resource versions: so the
    same plan has the same id as long as it means the same.
    """

    id: str
    target: str
    before: str
    after: str


@dataclass(frozen=True)
class Plan:
    """The steps of one run in their order, and the reasons why the rest needs none.

    `arguments` (JSON-able; no order of keys is kept) are what the steps were derived from: who has them can derive the
    same steps again, however many of them are done by then.
    """

    runbook: str
    steps: tuple[Step, ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    nothing_to_do: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits that name this plan: equal arguments and steps, equal id."""
        text = json.dumps([self.runbook, self.arguments, [asdict(step) for step in self.steps]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, with the id; what Airflow keeps as XCom `plan`. No tuples: it would wrap them in their class."""
        steps = [asdict(step) for step in self.steps]
        return {"id": self.id, **asdict(self), "steps": steps, "nothing_to_do": list(self.nothing_to_do)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Plan:
        """The plan that `as_dict` wrote. Raises ValueError when the steps no longer fit the id."""
        steps = tuple(Step(**step) for step in value["steps"])
        plan = cls(value["runbook"], steps, value["arguments"], tuple(value["nothing_to_do"]))
        if plan.id != value["id"]:
            raise ValueError(f"Plan {value['id']} was altered after it was made: its steps have the id {plan.id}.")
        return plan

    def text(self) -> str:
        """For people: one line a step, then the reasons."""
        rows = [f"{step.id}: {step.target}: {step.before} -> {step.after}" for step in self.steps]
        return "\n".join([f"Plan {self.id} of {self.runbook}: {len(rows)} steps", *rows, *self.nothing_to_do])


class PlanRefused(Refusal):
    """The world is neither as a plan expects it before a step nor as the step leaves it."""

    def __init__(self, step: Step, seen: str) -> None:
        super().__init__(
            f"{step.id}: {step.target} is '{seen}', but the plan knows only '{step.before}' and '{step.after}'. "
            "Somebody else changed it."
        )
        self.step = step
        self.seen = seen
