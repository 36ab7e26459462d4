"""What the checks of the store make of facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra_ops.checks import store as checks
from infra_ops.models.outcomes import State
from infra_ops.models.store import Handover, Rehearsal, Serving

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, State.PASS), (503, State.FAIL), (501, State.FAIL), (429, State.FAIL), (0, State.UNKNOWN)],
)
def test_no_answer_is_neither_good_nor_bad(status: int, state: State) -> None:
    assert checks.serves(Serving("https://10.42.0.9:8200", status, "pod is Running"), now=NOW, run="t").state is state


@pytest.mark.parametrize(
    ("handover", "state"),
    [
        (Handover(exist=False, waiting_since=None), State.FAIL),
        (Handover(exist=True, waiting_since=NOW - DAY / 2), State.PASS),
        (Handover(exist=True, waiting_since=NOW - DAY), State.FAIL),
        (Handover(exist=True, waiting_since=None), State.PASS),
    ],
    ids=["none", "half a day", "a day", "taken"],
)
def test_recovery_keys_may_wait_for_a_day(handover: Handover, state: State) -> None:
    assert checks.handed_over(handover, now=NOW, run="t").state is state


@pytest.mark.parametrize(("proved", "state"), [("abc", State.PASS), ("old", State.FAIL), ("", State.FAIL)])
def test_a_proof_counts_for_the_policies_that_it_was_made_with(proved: str, state: State) -> None:
    assert checks.identities(proved, "abc", now=NOW, run="t").state is state


@pytest.mark.parametrize(("days", "state"), [(31, State.PASS), (30, State.FAIL), (-1, State.FAIL)])
def test_a_certificate_is_renewed_in_time_or_missed(days: int, state: State) -> None:
    assert checks.certificate(NOW + days * DAY, now=NOW, run="t").state is state


@pytest.mark.parametrize(
    ("age", "canary", "state"),
    [
        (timedelta(hours=25), True, State.PASS),
        (timedelta(hours=27), True, State.FAIL),
        (timedelta(0), False, State.FAIL),
    ],
    ids=["fresh", "old", "without its canary"],
)
def test_a_snapshot_counts_when_it_is_young_and_was_read_back(age: timedelta, canary: bool, state: State) -> None:
    rehearsal = Rehearsal("a.snap", NOW - age, 1000, canary, 12.3)
    outcome = checks.restorable(rehearsal, now=NOW, run="t")
    assert outcome.state is state
    assert "restored in 12.3 s" in outcome.seen


def test_a_copy_that_nobody_has_restored_is_none() -> None:
    assert checks.restorable(None, now=NOW, run="t").state is State.FAIL


def test_versions_that_can_still_be_read_are_named() -> None:
    kept, late = checks.old_versions({"b": [1, 2], "a": []}, 2, now=NOW, run="t")
    assert (kept.subject, kept.state) == ("a", State.PASS)
    assert (late.subject, late.state, late.seen) == ("b", State.FAIL, "versions 1, 2 too")
