"""What deploying is made of: parts of the world that are compared with what they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra_ops.clients.effects import Effects
from infra_ops.clients.openbao import OpenBao
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action

# Performs one effect of a part: what is written in a few words, and the call that writes it.
Write = Callable[[str, Callable[[], Any]], Any]
# The store, logged in to: a plan is made before there is one, so parts ask for it only when they look.
Store = Callable[[], OpenBao]


@dataclass(frozen=True)
class Part:
    """One thing that should be `wanted`; `look` says in the same words what it is, `do` makes it so by effects."""

    id: str
    target: str
    wanted: str
    look: Callable[[], str]
    do: Callable[[Write], None]

    def action(self, before: str) -> Action:
        """The step that leads from `before` to what is wanted."""

        def do(effects: Effects) -> None:
            self.do(lambda what, call: effects.do(self.id, what, call))

        return Action(Step(self.id, self.target, before, self.wanted), self.look, do)


def gaps(parts: Iterable[Part]) -> dict[str, str]:
    """The parts that are not as wanted, by id, and what they are instead."""
    return {part.id: seen for part in parts if (seen := part.look()) != part.wanted}


def actions(parts: Iterable[Part], before: Mapping[str, str]) -> list[Action]:
    """The steps for those of the parts that `before` names, in the order of the parts."""
    return [part.action(before[part.id]) for part in parts if part.id in before]
