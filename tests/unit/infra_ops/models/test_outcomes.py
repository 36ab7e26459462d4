"""Which outcomes count, and how they are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from infra_ops.models.outcomes import Outcome, State, newest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def outcome(subject: str, *, check: str = "K006", minutes: int = 0, state: State = State.PASS) -> Outcome:
    measured_at = NOON + timedelta(minutes=minutes)
    return Outcome(check, subject, state, "accepted", "accepted", "", measured_at, timedelta(hours=1), "dag/run")


def test_an_outcome_is_the_same_after_a_journey_as_json() -> None:
    assert Outcome.from_dict(json.loads(json.dumps(outcome("flower").as_dict()))) == outcome("flower")


def test_an_outcome_counts_until_the_end_of_its_validity() -> None:
    assert not outcome("flower").stale(NOON + timedelta(hours=1))
    assert outcome("flower").stale(NOON + timedelta(hours=1, seconds=1))


def test_the_later_measurement_of_a_check_and_subject_wins_whatever_the_order() -> None:
    early, late = outcome("a"), outcome("a", minutes=1, state=State.FAIL)
    assert newest([early, late]) == newest([late, early]) == [late]


def test_outcomes_of_other_subjects_and_checks_stay() -> None:
    kept = [outcome("b"), outcome("a", check="K007"), outcome("a")]
    assert newest(kept) == [outcome("a"), outcome("b"), outcome("a", check="K007")]
