"""How an operation's steps are looked at, done and taken back: from the state of the world, never from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from infra_ops.clients.effects import Effects
from infra_ops.models.plans import PlanRefused, Step
from infra_ops.models.problems import Problem, Refusal


class StepFailed(Problem):
    """A step was done and the world does not show it."""


class CannotTakeBack(Refusal):
    """A step that is done has no way back; whoever wants one must plan anew."""


@dataclass(frozen=True)
class Action:
    """A step with the means to carry it out.

    `look` says in the step's words which state its target is in, and changes nothing. `do` closes the gap by effects
    and is only called when `look` said `step.before`; it may have been interrupted anywhere and is then called again.
    `undo` leads back to `before`; None where there is no way back.
    """

    step: Step
    look: Callable[[], str]
    do: Callable[[Effects], None]
    undo: Callable[[Effects], None] | None = None


def refuse_third_states(actions: Iterable[Action]) -> None:
    """Raises PlanRefused when a target already is in a state that its step does not know."""
    for action in actions:
        _look(action)


def carry_out(actions: Iterable[Action], effects: Effects, say: Callable[[str], None] = lambda text: None) -> None:
    """Does what is not done yet, in order, and sees after each step that the world has changed as planned.

    Raises PlanRefused when a target is in a third state, StepFailed when a step had no effect.
    """
    for action in actions:
        step = action.step
        if _look(action) == step.after:
            say(f"{step.id}: already {step.after}")
            continue
        action.do(effects)
        seen = action.look()
        if seen != step.after:
            raise StepFailed(f"{step.id} was done, but {step.target} is still '{seen}' instead of '{step.after}'.")
        say(f"{step.id}: {step.target}: {step.before} -> {step.after}")


def first_missing(actions: Iterable[Action]) -> str:
    """A sentence about the first step that is not done; "" when all are."""
    for action in actions:
        if (seen := action.look()) != action.step.after:
            return f"{action.step.id} is not done: {action.step.target} is '{seen}', not '{action.step.after}'."
    return ""


def take_back(actions: Sequence[Action], effects: Effects, say: Callable[[str], None] = lambda text: None) -> None:
    """Undoes, last first, what is in its after state. Raises CannotTakeBack at the first step without a way back."""
    for action in reversed(actions):
        step = action.step
        if action.look() != step.after:
            continue
        if action.undo is None:
            raise CannotTakeBack(f"{step.id}: {step.target} is '{step.after}' and there is no way back from it.")
        action.undo(effects)
        say(f"{step.id}: {step.target}: {step.after} -> {step.before}")


def _look(action: Action) -> str:
    seen = action.look()
    if seen not in (action.step.before, action.step.after):
        raise PlanRefused(action.step, seen)
    return seen
