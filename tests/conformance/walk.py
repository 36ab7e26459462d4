"""Kills a run at one of its effects: a BaseException from the gateway, which nothing catches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra_ops.clients.effects import Effects
from tests.conformance.stage import Stage

BEFORE, LOST, AFTER = "before", "done, reply lost", "after"
MOMENTS = (BEFORE, LOST, AFTER)


class Killed(BaseException):
    """The process is gone."""


class Deadly(Effects):
    """Dies at effect number `at`; `after` is as good as at the next thing that the run looks at."""

    def __init__(self, stage: Stage, at: int, moment: str) -> None:
        super().__init__(stage.journal, still_allowed=lambda: None)
        self._at, self._moment = at, moment

    def do(self, step: str, what: str, write: Callable[[], Any]) -> Any:
        answer = super().do(step, what, write)
        if self.count == self._at:  # the caller never hears of it
            raise Killed
        return answer

    def _perform(self, write: Callable[[], Any]) -> Any:
        if self.count == self._at and self._moment == BEFORE:
            raise Killed
        answer = super()._perform(write)
        if self.count == self._at and self._moment == LOST:
            raise Killed
        return answer


def effects_of(stage: Stage) -> int:
    """How many effects a rotation has that is not the first one."""
    stage.rotate(force=True)
    stage.clock.ahead += 86400
    effects = stage.effects()
    stage.rotate(effects, force=True)
    return effects.count


def killed_at(stage: Stage, number: int, moment: str) -> None:
    """One rotation that dies. Raises Killed."""
    stage.rotate(Deadly(stage, number, moment), force=True)
