"""The gateway: every write to the outside world passes here, one at a time, numbered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


class Journal(Protocol):
    """Where an effect is written down before it happens (clients/journal.py)."""

    def write(self, step: str, what: str) -> None: ...


class PlanMode(Exception):
    """An effect was asked for while only a plan is wanted: a fault in the code, caught before it does harm."""


class Effects:
    """Lets a run write.

    `still_allowed` (the change Lease is still ours) is asked and the journal written before each effect. `count`
    numbers them, and tests crash runs by overriding `_perform`. Retrying and deciding are not done here: whoever runs
    again looks at the world first.
    """

    def __init__(self, journal: Journal, still_allowed: Callable[[], None], *, plan_only: bool = False) -> None:
        self._journal = journal
        self._still_allowed = still_allowed
        self._plan_only = plan_only
        self.count = 0

    def do(self, step: str, what: str, write: Callable[[], Answer]) -> Answer:
        """Perform `write` as an effect of `step` and return its answer.

        `what` says in a few words what is written where, without secrets. Raises PlanMode, and whatever the Lease, the
        journal or `write` raise.
        """
        if self._plan_only:
            raise PlanMode(f"{step} wants to {what}, but this run only plans.")
        self._still_allowed()
        self.count += 1
        self._journal.write(step, what)
        return self._perform(write)

    def _perform(self, write: Callable[[], Answer]) -> Answer:
        return write()
