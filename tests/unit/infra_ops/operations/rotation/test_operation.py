"""What a failed run of several credentials takes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from infra_ops.clients.effects import Effects
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action, CannotTakeBack, take_back
from infra_ops.operations.rotation.operation import RotateCredentials
from tests.lab.rotation.stage import Pages


@dataclass
class Half:
    """A rotation that is half done, before or after its promotion."""

    promoted: bool
    state: str = "set"
    step: Step = field(default_factory=lambda: Step("x.set", "x", "not set", "set"))

    def is_promoted(self) -> bool:
        return self.promoted

    def promote(self) -> Action:
        return Action(self.step, lambda: self.state, lambda effects: None)

    def reversible(self) -> list[Action]:
        def undo(effects: Effects) -> None:
            self.state = "not set"

        return [Action(self.step, lambda: self.state, lambda effects: None, undo)]


def operation(*rotations: Half) -> RotateCredentials:
    made: Any = RotateCredentials.__new__(RotateCredentials)
    made._rotations = lambda: list(rotations)
    return made  # type: ignore[no-any-return]


def test_a_run_in_which_one_has_gone_too_far_takes_back_the_others_and_says_that_it_is_not_over() -> None:
    """Or the Lease would be given back and the next runs would be green, with an old value alive."""
    far, near = Half(promoted=True), Half(promoted=False)
    with pytest.raises(CannotTakeBack):
        take_back(operation(far, near).reversible(), Effects(Pages(), lambda: None))
    assert (far.state, near.state) == ("set", "not set")


def test_a_run_in_which_all_have_gone_too_far_takes_back_nothing() -> None:
    assert operation(Half(promoted=True)).reversible() == []
