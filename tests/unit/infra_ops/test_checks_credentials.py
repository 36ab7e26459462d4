"""The pure functions that judge a credential: each branch, and both sides of each limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra_ops.checks import credentials as checks
from infra_ops.models.copies import Place
from infra_ops.models.credentials import ROLLBACK, Answer, Credential, Login, Moving, Session, Stored
from infra_ops.models.outcomes import Outcome, State

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = "rotate_credentials/r1"
LIMIT = timedelta(days=90)
SECOND = timedelta(seconds=1)


def stored(age: timedelta, rotation_id: str = "pihole_admin:4") -> Stored:
    return Stored(4, NOW - age, Credential("admin", "word", rotation_id, 3))


def said(outcome: Outcome) -> tuple[State, str, str]:
    return outcome.state, outcome.seen, outcome.reason


@pytest.mark.parametrize(
    ("value", "state", "seen", "reason"),
    [
        (None, State.FAIL, "nothing stored", "it was never adopted"),
        (stored(timedelta(0)), State.PASS, "version 4, 0 days old", ""),
        (stored(LIMIT - SECOND), State.PASS, "version 4, 89 days old", ""),
        (stored(LIMIT), State.FAIL, "version 4, 90 days old", "its rotation is overdue"),
        (stored(LIMIT + SECOND), State.FAIL, "version 4, 90 days old", "its rotation is overdue"),
        (
            stored(timedelta(days=1), rotation_id=""),
            State.FAIL,
            "version 4, 1 days old",
            "it is the exposed value, as it was adopted",
        ),
        (
            stored(timedelta(days=1), rotation_id=f"pihole_admin:4{ROLLBACK}"),
            State.FAIL,
            "version 4, 1 days old",
            "it is an older value that was put back",
        ),
    ],
)
def test_k012_is_about_age_and_origin(value: Stored | None, state: State, seen: str, reason: str) -> None:
    outcome = checks.young("pihole_admin", value, limit=LIMIT, now=NOW, run=RUN)
    assert said(outcome) == (state, seen, reason)
    assert (outcome.id, outcome.subject, outcome.expected) == ("K012", "pihole_admin", "rotated within 90 days")
    assert (outcome.measured_at, outcome.run) == (NOW, RUN)


@pytest.mark.parametrize(
    ("rotation_id", "note", "state", "seen", "reason"),
    [
        ("", "", State.FAIL, "no probe", "it has not been rotated yet"),
        ("x:4", "", State.UNKNOWN, "no probe", "nobody has probed since rotation x:4"),
        ("x:4", "x:3 new accepted 200", State.UNKNOWN, "new accepted 200", "nobody has probed since rotation x:4"),
        ("x:4", "x:4 new accepted 200", State.PASS, "new accepted 200", ""),
    ],
)
def test_k013_counts_the_probe_of_the_last_rotation_only(
    rotation_id: str, note: str, state: State, seen: str, reason: str
) -> None:
    outcome = checks.old_refused("x", rotation_id, note, now=NOW, run=RUN)
    assert said(outcome) == (state, seen, reason)
    assert (outcome.id, outcome.subject, outcome.measured_at, outcome.run) == ("K013", "x", NOW, RUN)


@pytest.mark.parametrize(
    ("places", "state", "seen", "reason"),
    [
        ([], State.PASS, "0 copies", ""),
        (
            [Place("Secret", "celery", "old", "URL"), Place("Connection", "", "screener_db")],
            State.FAIL,
            "2 copies",
            "it still stands in Secret celery/old, URL; Connection screener_db",
        ),
    ],
)
def test_k020_names_every_place(places: list[Place], state: State, seen: str, reason: str) -> None:
    assert said(checks.nowhere_left("x", places, now=NOW, run=RUN)) == (state, seen, reason)


@pytest.mark.parametrize(
    ("login", "rolling", "state", "seen", "reason"),
    [
        (Login(Answer.ACCEPTED, "200"), {}, State.PASS, "accepted 200", ""),
        (Login(Answer.REFUSED, "401"), {}, State.FAIL, "refused 401", "the service refuses the stored value"),
        (
            Login(Answer.UNREACHABLE, ""),
            {},
            State.UNKNOWN,
            "unreachable",
            "the service does not answer, which says nothing about the password",
        ),
        (
            Login(Answer.ACCEPTED, "200"),
            {"Deployment celery/flower": "1 of 2 updated"},
            State.FAIL,
            "rolling",
            "Deployment celery/flower: 1 of 2 updated",
        ),
    ],
)
def test_k010_is_one_answer_once_all_pods_are_new(
    login: Login, rolling: dict[str, str], state: State, seen: str, reason: str
) -> None:
    assert said(checks.accepted("x", login, rolling, now=NOW, run=RUN)) == (state, seen, reason)


@pytest.mark.parametrize(
    ("moving", "state", "seen", "reason"),
    [
        (Moving({}), State.PASS, "0 of 0 rolled out", ""),
        (Moving({"a": "", "b": ""}), State.PASS, "2 of 2 rolled out", ""),
        (Moving({"a": "", "b": "0 of 1 ready"}), State.FAIL, "1 of 2 rolled out", "b: 0 of 1 ready"),
        (
            Moving({"a": ""}, old_sessions=(Session("10.0.0.1", "psql"),)),
            State.FAIL,
            "1 of 1 rolled out",
            "a session of the old login is open: psql from 10.0.0.1",
        ),
        (
            Moving({"a": ""}, without_session=("a",)),
            State.FAIL,
            "1 of 1 rolled out",
            "a has not logged in with the new value",
        ),
        (
            Moving({}, left_behind=("celery/job",)),
            State.FAIL,
            "0 of 0 rolled out",
            "celery/job started with the old value and nothing replaces it: delete it",
        ),
    ],
)
def test_k011_names_whoever_is_late(moving: Moving, state: State, seen: str, reason: str) -> None:
    assert said(checks.moved("x", moving, now=NOW, run=RUN)) == (state, seen, reason)
