"""Is everything as K3s' own way of encryption leaves it, and what must not be done meanwhile?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from infra_ops.checks.encryption import ROTATE_AFTER, Judge
from infra_ops.models.encryption import IDENTITY, NONE, Providers, shown, words, writes
from infra_ops.models.managed_encryption import Managed, made
from infra_ops.models.outcomes import Outcome

LOST = (
    "its process was started with secrets-encryption and its configuration no longer says so: its next start would "
    "read no Secret, so write `secrets-encryption: true` there again"
)
APART = (
    "the servers have lists of K3s that no rotation leads through: restore the last snapshot, or go by "
    "https://github.com/k3s-io/k3s/issues/13598"
)


def in_force(seen: Managed) -> Providers | str:
    """The list by which a server works that is not `changing`; a text for what cannot be."""
    if not seen.in_process:
        return NONE
    return seen.listed or "it was started with secrets-encryption and has no list of K3s"


def changing(seen: Managed) -> bool:
    """K3s has not yet said on the Node what it has on the disk."""
    return seen.in_process and seen.noted != seen.sha256


def keys_in_use(lists: Mapping[str, Providers]) -> list[str]:
    """The keys by which servers write, oldest first; those that do not tell their age before all others."""
    found = {writes(providers) for providers in lists.values()} - {IDENTITY}
    return sorted(found, key=lambda key: (made(key) or datetime.min.replace(tzinfo=UTC), key))


def due(key: str, now: datetime) -> bool:
    """Whether a key is older than a year. One that does not tell its age is."""
    moment = made(key)
    return moment is None or now - moment > ROTATE_AFTER


def sound(judge: Judge, found: Mapping[str, Managed]) -> list[Outcome]:
    """K021, before a change: each server has a list of K3s, or none, and will still have it after its next start."""
    states = {server: in_force(seen) for server, seen in found.items()}
    lists = {providers for providers in states.values() if not isinstance(providers, str)}
    apart = APART if len({writes(providers) for providers in lists} - {IDENTITY}) > 2 else ""
    outcomes = []
    for server, state in sorted(states.items()):
        if isinstance(state, str):
            reason = "mend that first"
        elif writes(state) != IDENTITY and not found[server].switched_by:
            reason = LOST
        else:
            reason = apart
        outcomes.append(judge.outcome("K021", server, "a list of K3s, or none", shown(state), reason))
    return outcomes


def same(judge: Judge, found: Mapping[str, Managed], key: str) -> list[Outcome]:
    """K021, after it: each server has the same list, by K3s' own hash of it, writes with `key` and will go on so."""
    hashes = {seen.noted for seen in found.values()}
    outcomes = []
    for server, seen in sorted(found.items()):
        state = in_force(seen)
        if isinstance(state, str) or writes(state) != key:
            reason = "run secrets_encryption"
        elif not seen.switched_by:
            reason = LOST
        else:
            reason = "" if len(hashes) == 1 else "K3s' hash of the list is not the same on all servers: restart them"
        wanted = words((key, IDENTITY))
        outcomes.append(judge.outcome("K021", server, wanted, shown(state), reason))
    return outcomes


def young(judge: Judge, key: str, now: datetime) -> Outcome:
    """K026: by the moment in its name."""
    moment, expected = made(key), "younger than 366 days"
    if moment is None:
        return judge.unknown(
            "K026", key, expected, "its name has no date; run secrets_encryption, which makes the next"
        )
    reason = "run secrets_encryption, which makes the next one" if due(key, now) else ""
    return judge.outcome("K026", key, expected, f"{(now - moment).days} days old", reason)
