"""A rotation while something goes wrong: it ends as an undisturbed one, or fails in one sentence and a second run does.

`disturb` knows nothing of the credential: whatever is a Stage can be run through it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from infra_ops.models.problems import Problem
from lab.faults.rules import Rule, Rules


class Rotating(Protocol):
    """What is rotated, as its run sees it (through the proxies) or as it is (beside them)."""

    def rotate(self) -> None: ...

    def end_state(self) -> dict[str, Any]: ...

    def a_stored_login_works(self) -> bool: ...


@dataclass(frozen=True)
class Outcome:
    """`sentence` is the failure of the first run, "" when it bore the fault; `hits` how often the fault happened."""

    hits: int
    sentence: str
    end: dict[str, Any]
    instants: int

    def __str__(self) -> str:
        return "second run" if self.sentence else "borne"


def disturb(run: Rotating, beside: Rotating, rules: Rules, rule: Rule, *, secrets: Callable[[], list[str]]) -> Outcome:
    """Rotates while `rule` is on and, when that failed, again without it.

    Meanwhile it is asked over and over, beside the proxies, whether a stored login works. `secrets` are the values
    that no sentence may hold. Raises AssertionError, and whatever is no Problem.
    """
    sentence = ""
    with watched(beside) as instants:
        with rules.on(rule):
            try:
                run.rotate()
            except Problem as problem:
                sentence = str(problem)
        if sentence:
            run.rotate()
    assert "\n" not in sentence
    assert [value for value in secrets() if value in sentence] == []
    assert len(instants) > 0
    assert all(instants), "there was an instant at which no stored login worked"
    return Outcome(rule.hits, sentence, beside.end_state(), len(instants))


@contextmanager
def watched(beside: Rotating) -> Iterator[list[bool]]:
    """Asks over and over; yields the answers. A no counts when the next look says no too: two reads are no instant."""
    answers: list[bool] = []
    over = threading.Event()
    failures: list[Exception] = []

    def ask() -> None:
        try:
            while True:
                answers.append(beside.a_stored_login_works() or beside.a_stored_login_works())
                if over.wait(0.1):
                    return
        except Exception as error:  # raised again in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()
    for failure in failures:
        raise failure
