"""A tiny operation to run runbooks with: two lamps that shall be on. The world is a dict that tests may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from infra_ops.clients.effects import Effects
from infra_ops.models.outcomes import Outcome, State
from infra_ops.models.plans import Step
from infra_ops.models.problems import Problem
from infra_ops.operations.actions import Action
from infra_ops.operations.operation import Request, Work

PATH = f"{__name__}.Lamps"
WORLD: dict[str, str] = {}
GROUND: dict[str, State] = {}
GROUPS = {"introduce": "red", "switch": "green"}


def reset() -> None:
    """Both lamps are off, and the ground holds."""
    WORLD.clear()
    WORLD.update(red="off", green="off")
    GROUND.update(current=State.PASS)


def outcome(check: str, subject: str, state: State, run: str) -> Outcome:
    seen = "on" if state is State.PASS else "off"
    return Outcome(check, subject, state, "on", seen, "", datetime.now(UTC), timedelta(hours=1), run)


def shines(subject: str, arguments: Mapping[str, Any]) -> Outcome:
    """Measures a lamp; one that is missing cannot be asked."""
    if subject not in WORLD:
        raise Problem(f"lamp {subject} does not answer")
    state = State.PASS if WORLD[subject] == "on" else State.FAIL
    return outcome("K901", subject, state, arguments["run"])


class Lamps:
    """Switches the lamps on, red first. Red can be taken back until green is on."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def preflight(self) -> list[Outcome]:
        return [outcome("K900", "current", GROUND["current"], self.request.run)]

    def work(self) -> Work:
        wanted = self._wanted()
        groups = {group: [_switch(lamp)] for group, lamp in GROUPS.items() if lamp in wanted}
        rest = tuple(f"{lamp} is on already." for lamp in WORLD if lamp not in wanted)
        return Work({name: groups.get(name, []) for name in GROUPS}, {"accepted": wanted}, {"lamps": wanted}, rest)

    def reversible(self) -> Sequence[Action]:
        return [_switch("red")] if WORLD["green"] == "off" else []

    def standing(self) -> list[Outcome]:
        return [shines("red", {"run": self.request.run})]

    def verify(self) -> list[Outcome]:
        return [shines(lamp, {"run": self.request.run}) for lamp in WORLD]

    def _wanted(self) -> list[str]:
        if self.request.plan:
            return list(self.request.plan.arguments["lamps"])
        return [lamp for lamp, state in WORLD.items() if state != "on"]


def _switch(lamp: str) -> Action:
    def look() -> str:
        return WORLD[lamp]

    def put(state: str) -> Callable[[Effects], None]:
        return lambda effects: effects.do(f"switch.{lamp}", f"switch {lamp} {state}", partial(_set, lamp, state))

    return Action(Step(f"switch.{lamp}", f"lamp {lamp}", "off", "on"), look, put("on"), put("off"))


def _set(lamp: str, state: str) -> None:
    WORLD[lamp] = state
