"""Is the secret store there, are its keys in the right hands, does what it forgets stay recoverable?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from infra_ops.models.outcomes import Outcome, State
from infra_ops.models.store import Handover, Rehearsal, Serving

VALID_FOR = timedelta(days=1)
TIME_TO_TAKE_KEYS = timedelta(days=1)
LEAST_CERTIFICATE_LEFT = timedelta(days=30)
OLDEST_SNAPSHOT = timedelta(hours=26)
STORE = "openbao"
STATES = {200: "serves", 429: "is a standby", 501: "is not initialized", 503: "is sealed", 0: "no answer"}


def serves(serving: Serving, *, now: datetime, run: str) -> Outcome:
    """K014: it is initialized, unsealed and leads. No answer is unknown: the network may be to blame."""
    seen = STATES.get(serving.status, f"status {serving.status}")
    if serving.status == 200:
        state, reason = State.PASS, ""
    else:
        state = State.FAIL if serving.status else State.UNKNOWN
        reason = f"{serving.address or 'its pod has no address yet'}; {serving.pod}"
    return Outcome("K014", STORE, state, "serves", seen, reason, now, VALID_FOR, run)


def handed_over(handover: Handover, *, now: datetime, run: str) -> Outcome:
    """K015: the recovery keys exist and have left the cluster, for which their owner has a day."""
    expected = "recovery keys in their owner's hands"

    def outcome(state: State, seen: str, reason: str = "") -> Outcome:
        return Outcome("K015", STORE, state, expected, seen, reason, now, VALID_FOR, run)

    if not handover.exist:
        return outcome(State.FAIL, "no recovery keys", "without them nobody gets in when every login is broken")
    if handover.waiting_since is None:
        return outcome(State.PASS, "taken off the cluster")
    seen = f"in the Secret openbao/openbao-recovery since {handover.waiting_since:%Y-%m-%d %H:%M} UTC"
    if now - handover.waiting_since < TIME_TO_TAKE_KEYS:
        return outcome(State.PASS, f"{seen}, to be taken within a day")
    return outcome(State.FAIL, seen, "write them down away from the cluster, then delete the Secret")


def identities(proved: str, wanted: str, *, now: datetime, run: str) -> Outcome:
    """K016: what each identity may do, and what not, was tried with the policies as they are now."""
    state = State.PASS if proved == wanted else State.FAIL
    reason = "" if proved == wanted else "the policies were changed since, or nobody has tried them"
    return Outcome(
        "K016", STORE, state, f"proved for policies {wanted}", proved or "no proof", reason, now, VALID_FOR, run
    )


def certificate(ends: datetime, *, now: datetime, run: str) -> Outcome:
    """K017: the certificate is good for some time yet."""
    left = ends - now
    state = State.PASS if left > LEAST_CERTIFICATE_LEFT else State.FAIL
    expected = f"more than {LEAST_CERTIFICATE_LEFT.days} days left"
    reason = "" if state is State.PASS else "run deploy_openbao, which renews it"
    return Outcome("K017", STORE, state, expected, f"{left.days} days left", reason, now, VALID_FOR, run)


def restorable(rehearsal: Rehearsal | None, *, now: datetime, run: str) -> Outcome:
    """K018: the newest snapshot is young and was restored, and what had been written before it was read back."""
    expected = f"a snapshot younger than {OLDEST_SNAPSHOT.total_seconds() / 3600:.0f} h, restored and read"

    def outcome(state: State, seen: str, reason: str = "") -> Outcome:
        return Outcome("K018", STORE, state, expected, seen, reason, now, VALID_FOR, run)

    if rehearsal is None:
        return outcome(State.FAIL, "no snapshot that was restored", "a copy that nobody has restored is a hope")
    seen = (
        f"{rehearsal.snapshot}, {rehearsal.size} bytes, taken {rehearsal.taken_at:%Y-%m-%d %H:%M} UTC, "
        f"restored in {rehearsal.seconds:.1f} s"
    )
    if not rehearsal.canary:
        return outcome(State.FAIL, seen, "the restored store does not hold what was written before the snapshot")
    if now - rehearsal.taken_at > OLDEST_SNAPSHOT:
        return outcome(State.FAIL, seen, "it is too old: what was stored since would be lost")
    return outcome(State.PASS, seen)


def old_versions(left: Mapping[str, Sequence[int]], keep: int, *, now: datetime, run: str) -> list[Outcome]:
    """K019, one a credential: of its versions only the newest `keep` can still be read. `left` are the others."""
    return [
        Outcome(
            "K019",
            credential,
            State.FAIL if versions else State.PASS,
            f"only the newest {keep} versions readable",
            f"versions {', '.join(map(str, versions))} too" if versions else "so",
            "retired passwords can still be read" if versions else "",
            now,
            VALID_FOR,
            run,
        )
        for credential, versions in sorted(left.items())
    ]
