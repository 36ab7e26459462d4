"""Steps are done from what is seen, skipped when done, refused when somebody else changed the world."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from infra_ops.clients import retries
from infra_ops.clients.effects import Effects, PlanMode
from infra_ops.models.plans import PlanRefused, Step
from infra_ops.models.problems import Problem, Refusal
from infra_ops.operations.actions import (
    Action,
    CannotTakeBack,
    StepFailed,
    carry_out,
    refuse_third_states,
    take_back,
)


@dataclass
class Notebook:
    """A journal that remembers what was written before what."""

    lines: list[str] = field(default_factory=list)

    def write(self, step: str, what: str) -> None:
        self.lines.append(f"{step}: {what}")


@dataclass
class Lamp:
    """The world: a lamp that is off, on or broken."""

    state: str = "off"
    stuck: bool = False

    def set(self, state: str) -> None:
        if not self.stuck:
            self.state = state

    def action(self, *, undo: bool = True) -> Action:
        return Action(
            Step("lamp.on", "the lamp", "off", "on"),
            look=lambda: self.state,
            do=lambda effects: effects.do("lamp.on", "switch on", lambda: self.set("on")),
            undo=(lambda effects: effects.do("lamp.on", "switch off", lambda: self.set("off"))) if undo else None,
        )


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def effects(notebook: Notebook) -> Effects:
    return Effects(notebook, still_allowed=lambda: None)


def test_a_step_is_done_once_and_then_skipped(effects: Effects, notebook: Notebook) -> None:
    lamp = Lamp()
    carry_out([lamp.action()], effects)
    carry_out([lamp.action()], effects)
    assert lamp.state == "on"
    assert notebook.lines == ["lamp.on: switch on"]


def test_a_third_state_is_refused_before_and_while_doing(effects: Effects, notebook: Notebook) -> None:
    lamp = Lamp("broken")
    with pytest.raises(PlanRefused, match="lamp.on: the lamp is 'broken', but the plan knows only 'off' and 'on'"):
        refuse_third_states([lamp.action()])
    with pytest.raises(PlanRefused):
        carry_out([lamp.action()], effects)
    assert notebook.lines == []


def test_a_step_without_effect_is_a_failure(effects: Effects) -> None:
    with pytest.raises(StepFailed, match="the lamp is still 'off' instead of 'on'"):
        carry_out([Lamp(stuck=True).action()], effects)


def test_taking_back_restores_and_leaves_alone_what_was_not_done(effects: Effects, notebook: Notebook) -> None:
    done, undone = Lamp("on"), Lamp()
    take_back([done.action(), undone.action()], effects)
    assert (done.state, undone.state) == ("off", "off")
    assert notebook.lines == ["lamp.on: switch off"]


def test_a_step_without_a_way_back_says_so(effects: Effects) -> None:
    with pytest.raises(CannotTakeBack, match="there is no way back"):
        take_back([Lamp("on").action(undo=False)], effects)


def test_taking_back_ends_at_a_state_that_it_does_not_know(effects: Effects, notebook: Notebook) -> None:
    """What comes after it may be the only copy of what the lamp has."""
    first = Lamp("on")
    with pytest.raises(PlanRefused, match="the lamp is 'broken'"):
        take_back([first.action(), Lamp("broken").action()], effects)
    assert (first.state, notebook.lines) == ("on", [])


def test_taking_back_without_effect_is_a_failure(effects: Effects) -> None:
    first = Lamp("on")
    with pytest.raises(StepFailed, match=r"lamp.on was taken back, but the lamp still is 'on'\."):
        take_back([first.action(), Lamp("on", stuck=True).action()], effects)
    assert first.state == "on"


@dataclass
class Flaky(Lamp):
    """Each switching takes the next of `answers`: "fine", "lost" (it is done, nobody hears of it) or "failed"."""

    answers: list[str] = field(default_factory=list)

    def set(self, state: str) -> None:
        answer = self.answers.pop(0)
        if answer != "failed":
            super().set(state)
        if answer != "fine":
            raise Problem(f"The lamp does not answer: {answer}.")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0)


def test_an_effect_whose_answer_was_lost_is_not_repeated(effects: Effects, notebook: Notebook) -> None:
    lamp, said = Flaky(answers=["lost"]), []
    carry_out([lamp.action()], effects, said.append)
    assert (lamp.state, len(notebook.lines)) == ("on", 1)
    assert said[0] == "lamp.on: The lamp does not answer: lost. It was done all the same."


@pytest.mark.usefixtures("at_once")
def test_an_effect_that_failed_is_tried_again_a_few_times(effects: Effects) -> None:
    lamp = Flaky(answers=["failed", "failed", "fine"])
    carry_out([lamp.action()], effects)
    assert lamp.state == "on"
    lamp = Flaky(answers=["failed", "failed", "failed", "fine"])
    with pytest.raises(Problem, match="does not answer: failed"):
        carry_out([lamp.action()], effects)
    assert lamp.answers == ["fine"]


def test_an_effect_that_came_through_is_not_repeated_because_the_next_one_failed(effects: Effects) -> None:
    """A wrong login counts each time: only a new run tries it again."""
    lamp, tried = Flaky(answers=["failed", "fine"]), []

    def probe_and_note(effects: Effects) -> None:
        effects.do("lamp.on", "try a wrong login", lambda: tried.append(1))
        effects.do("lamp.on", "switch on", lambda: lamp.set("on"))

    with pytest.raises(Problem, match="does not answer"):
        carry_out([Action(lamp.action().step, lambda: lamp.state, probe_and_note)], effects)
    assert tried == [1]


def test_a_refusal_is_not_tried_again(effects: Effects) -> None:
    tried = []

    def refuse(effects: Effects) -> None:
        tried.append(1)
        raise Refusal("Nobody may.")

    with pytest.raises(Refusal):
        carry_out([Action(Lamp().action().step, lambda: "off", refuse)], effects)
    assert tried == [1]


@pytest.mark.usefixtures("at_once")
def test_taking_back_bears_lost_answers_and_failures(effects: Effects) -> None:
    lost, failed = Flaky("on", answers=["lost"]), Flaky("on", answers=["failed", "fine"])
    take_back([lost.action(), failed.action()], effects)
    assert (lost.state, failed.state) == ("off", "off")


def test_plan_mode_refuses_every_effect(notebook: Notebook) -> None:
    lamp = Lamp()
    with pytest.raises(PlanMode):
        carry_out([lamp.action()], Effects(notebook, still_allowed=lambda: None, plan_only=True))
    assert (lamp.state, notebook.lines) == ("off", [])


def test_an_effect_is_journalled_before_it_happens(notebook: Notebook) -> None:
    def write() -> None:
        assert notebook.lines == ["s: write"]

    Effects(notebook, still_allowed=lambda: None).do("s", "write", write)


def test_without_the_lease_nothing_is_journalled_or_written(notebook: Notebook) -> None:
    def lost() -> None:
        raise PermissionError

    lamp = Lamp()
    with pytest.raises(PermissionError):
        carry_out([lamp.action()], Effects(notebook, still_allowed=lost))
    assert (lamp.state, notebook.lines) == ("off", [])
