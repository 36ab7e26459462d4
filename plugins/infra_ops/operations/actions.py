"""How an operation's steps are looked at, done and taken back: from the state of the world, never from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from infra_ops.clients.effects import Effects
from infra_ops.clients.retries import pause
from infra_ops.models.plans import PlanRefused, Step
from infra_ops.models.problems import Problem, Refusal

TRIES = 3


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

    An effect that failed, or whose answer was lost, may have happened: the world is looked at again, and what it shows
    decides. Raises PlanRefused when a target is in a third state, StepFailed when a step had no effect, and the
    Problem of an effect that does not come through.
    """
    for action in actions:
        step = action.step
        if _look(action) == step.after:
            say(f"{step.id}: already {step.after}")
            continue
        _persist(action, action.do, _shows_after, effects, say)
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
    """Undoes, last first, what is in its after state.

    Raises CannotTakeBack at the first step without a way back, PlanRefused at a third state and StepFailed when taking
    back had no effect: who cannot tell whether a service has the new value must not go on and delete it.
    """
    for action in reversed(actions):
        step = action.step
        if _look(action) != step.after:
            continue
        if action.undo is None:
            raise CannotTakeBack(f"{step.id}: {step.target} is '{step.after}' and there is no way back from it.")
        _persist(action, action.undo, _left_after, effects, say)
        if _look(action) == step.after:
            raise StepFailed(f"{step.id} was taken back, but {step.target} still is '{step.after}'.")
        say(f"{step.id}: {step.target}: {step.after} -> {step.before}")


def _persist(
    action: Action,
    work: Callable[[Effects], None],
    is_done: Callable[[Action], bool],
    effects: Effects,
    say: Callable[[str], None],
) -> None:
    """Work until it comes through or the world shows that it is done.

    It is begun again only when its first effect failed. An effect that has come through, such as a wrong login that a
    service counts, is not repeated just because a later one of the same step failed: whoever runs again does that.
    """
    for attempt in range(1, TRIES + 1):
        begun = effects.count
        try:
            work(effects)
        except (Refusal, StepFailed):
            raise
        except Problem as problem:
            if is_done(action):
                say(f"{action.step.id}: {problem} It was done all the same.")
                return
            if attempt == TRIES or effects.count > begun + 1:
                raise
            say(f"{action.step.id}: {problem} It is not done; trying again.")
            pause(attempt)
        else:
            return


def _shows_after(action: Action) -> bool:
    return _look(action) == action.step.after


def _left_after(action: Action) -> bool:
    return _look(action) != action.step.after


def _look(action: Action) -> str:
    seen = action.look()
    if seen not in (action.step.before, action.step.after):
        raise PlanRefused(action.step, seen)
    return seen
