"""The runner of disturbed rotations sees what it is there to see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from infra_ops.models.problems import Problem
from lab.faults.rules import Kind, Rule, Rules
from tests.lab.rotation.disturbed import disturb


@dataclass
class Invented:
    """`fails` are the sentences with which its rotations fail; `works` says whether a stored login works."""

    fails: list[str] = field(default_factory=list)
    works: bool = True
    rotations: int = 0

    def rotate(self) -> None:
        self.rotations += 1
        if self.fails:
            raise Problem(self.fails.pop(0))

    def a_stored_login_works(self) -> bool:
        return self.works

    def end_state(self) -> dict[str, Any]:
        return {"rotations": self.rotations}


def run(stage: Invented) -> tuple[str, dict[str, Any]]:
    outcome = disturb(stage, stage, Rules(), Rule(kind=Kind.DOWN), secrets=lambda: ["invented-secret"])
    return str(outcome), outcome.end


def test_a_rotation_that_bears_it_is_run_once_and_one_that_fails_twice() -> None:
    assert run(Invented()) == ("borne", {"rotations": 1})
    assert run(Invented(["The service is away."])) == ("second run", {"rotations": 2})


def test_a_second_failure_is_none_that_is_borne() -> None:
    with pytest.raises(Problem, match="Still away"):
        run(Invented(["The service is away.", "Still away."]))


def test_an_instant_without_a_working_login_is_seen() -> None:
    with pytest.raises(AssertionError, match="no stored login worked"):
        run(Invented(works=False))


@pytest.mark.parametrize("sentence", ["It holds invented-secret.", "Two\nlines."])
def test_a_sentence_with_a_secret_or_two_lines_is_seen(sentence: str) -> None:
    with pytest.raises(AssertionError):
        run(Invented([sentence]))
