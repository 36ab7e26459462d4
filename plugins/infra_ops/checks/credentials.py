"""Is a credential accepted, have its consumers moved, is it young enough?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from infra_ops.models.copies import Place
from infra_ops.models.credentials import Answer, Login, Moving, Stored
from infra_ops.models.outcomes import Outcome, State

VALID_FOR = timedelta(days=1)


def accepted(credential: str, login: Login, rolling: Mapping[str, str], *, now: datetime, run: str) -> Outcome:
    """K010: the service accepts the newest stored value.

    `rolling` maps workloads of the service that are still being replaced to what they lack: until then one answer is
    not everybody's.
    """
    if rolling:
        waiting = "; ".join(f"{workload}: {missing}" for workload, missing in rolling.items())
        return Outcome("K010", credential, State.FAIL, "accepted", "rolling", waiting, now, VALID_FOR, run)
    states = {Answer.ACCEPTED: State.PASS, Answer.REFUSED: State.FAIL, Answer.UNREACHABLE: State.UNKNOWN}
    reasons = {
        Answer.ACCEPTED: "",
        Answer.REFUSED: "the service refuses the stored value",
        Answer.UNREACHABLE: "the service does not answer, which says nothing about the password",
    }
    seen = f"{login.answer.value} {login.code}".rstrip()
    return Outcome(
        "K010", credential, states[login.answer], "accepted", seen, reasons[login.answer], now, VALID_FOR, run
    )


def moved(credential: str, moving: Moving, *, now: datetime, run: str) -> Outcome:
    """K011: every consumer runs on the new value and nobody on the old one."""
    waiting = [f"{workload}: {missing}" for workload, missing in moving.rollouts.items() if missing]
    waiting += [f"{workload} has not logged in with the new value" for workload in moving.without_session]
    waiting += [f"a session of the old login is open: {session}" for session in moving.old_sessions]
    waiting += [f"{pod} started with the old value and nothing replaces it: delete it" for pod in moving.left_behind]
    state = State.FAIL if waiting else State.PASS
    seen = f"{len(moving.rollouts) - sum(map(bool, moving.rollouts.values()))} of {len(moving.rollouts)} rolled out"
    return Outcome(
        "K011", credential, state, "all consumers on the new value", seen, "; ".join(waiting), now, VALID_FOR, run
    )


def young(credential: str, stored: Stored | None, *, limit: timedelta, now: datetime, run: str) -> Outcome:
    """K012: the value was made by a rotation that is not too long ago."""
    expected = f"rotated within {limit.days} days"

    def outcome(state: State, seen: str, reason: str) -> Outcome:
        return Outcome("K012", credential, state, expected, seen, reason, now, VALID_FOR, run)

    if stored is None:
        return outcome(State.FAIL, "nothing stored", "it was never adopted")
    age = now - stored.created
    seen = f"version {stored.version}, {age.days} days old"
    if not stored.credential.rotation_id:
        return outcome(State.FAIL, seen, "it is the exposed value, as it was adopted")
    if stored.credential.rolled_back:
        return outcome(State.FAIL, seen, "it is an older value that was put back")
    return outcome(State.PASS, seen, "") if age < limit else outcome(State.FAIL, seen, "its rotation is overdue")


def old_refused(credential: str, rotation_id: str, note: str, *, now: datetime, run: str) -> Outcome:
    """K013: the one probe of the last rotation found the old value refused. Reads its note and tries nothing."""
    expected = "new accepted, old and junk refused"
    probed, _, result = note.partition(" ")
    if not rotation_id:
        reason, state = "it has not been rotated yet", State.FAIL
    elif probed != rotation_id:
        reason, state = f"nobody has probed since rotation {rotation_id}", State.UNKNOWN
    else:
        reason, state = "", State.PASS
    return Outcome("K013", credential, state, expected, result or "no probe", reason, now, VALID_FOR, run)


def nowhere_left(credential: str, places: Sequence[Place], *, now: datetime, run: str) -> Outcome:
    """K020: the value before the current one stands nowhere in the cluster any more."""
    state = State.FAIL if places else State.PASS
    reason = f"it still stands in {'; '.join(map(str, places))}" if places else ""
    seen = f"{len(places)} copies"
    return Outcome("K020", credential, state, "no copy of the old value", seen, reason, now, VALID_FOR, run)
