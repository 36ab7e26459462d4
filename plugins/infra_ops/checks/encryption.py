"""Which encryption is in force on a server, and is everything as it should be? Also: what must not be done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from infra_ops.checks.quorum import lost_without
from infra_ops.models.encryption import (
    IDENTITY,
    NONE,
    Key,
    Providers,
    configuration,
    digest,
    disabling,
    enabling,
    order,
    reads,
    rotating,
    shown,
    words,
    writes,
)
from infra_ops.models.k3s_versions import K3sEncryption, NoRoute, route
from infra_ops.models.outcomes import Outcome, State
from infra_ops.models.servers import Encrypting

VALID_FOR = timedelta(days=32)  # measured every month
ROTATE_AFTER = timedelta(days=365)
MODE, OWNER = "600", "root:root"
WAY_OUT = (
    "the servers hold different keys under one name, so each may have written what the others cannot read: stop K3s on "
    "the odd one, copy the others' file to it (root, 0600) and start it; docs/real-cluster.md says how to go on"
)

UNKNOWN_KEY = (
    "the servers have one file, but the store does not have its key (was an older copy of it restored?): bring the key "
    "back from encryption-keyN.json off the cluster, as docs/real-cluster.md says"
)


def known_lists(keys: Mapping[str, Key]) -> dict[str, Providers]:
    """Every list that a way can pass with these keys, by the digest of its file."""
    names = order(list(keys))
    ways = [way(name) for name in names for way in (enabling, disabling)]
    ways += [rotating(old, new) for old in names for new in names if old != new]
    lists = {stage for way in ways for stage in way.stages if stage}
    return {digest(configuration(stage, keys)): stage for stage in lists}


def loading(seen: Encrypting) -> bool:
    """The file was changed, and the running API server has not taken it over yet: within a minute it will have."""
    return bool(seen.started_with and seen.file and seen.file.changed > max(seen.unit.started, seen.reloaded))


def is_awaited(seen: Encrypting) -> bool:
    """Its K3s was started after it was given the list, and its Node object does not say so yet: that takes seconds."""
    runs = seen.unit.state == "active" and seen.drop_in is not None and seen.unit.started > seen.drop_in.changed
    return runs and not seen.started_with


def in_force(seen: Encrypting, known: Mapping[str, Providers], file: str) -> Providers | str:
    """The list by which a server that is not `loading` works; a text for what is none of ours.

    `file` is where the configuration belongs. A file that the process was not started with is not in force.
    """
    if seen.foreign or seen.managed:
        return seen.foreign or f"managed by K3s ({seen.managed} has secrets-encryption: true)"
    if not seen.started_with:
        return NONE
    if seen.started_with != file:
        return f"started with {seen.started_with}, which is not ours"
    if seen.file is None:
        return f"started with {file}, which is gone"
    if (seen.file.mode, seen.file.owner) != (MODE, OWNER):
        return f"{file} has mode {seen.file.mode} and belongs to {seen.file.owner}, not 600 and root"
    listed = known.get(seen.file.sha256)
    return listed if listed is not None else f"a file of other bytes than ours (it lists {words(seen.providers)})"


def unsafe(new: Providers, others: Mapping[str, Providers], used: Mapping[str, int]) -> str:
    """Why a server must not go over to `new` now; "" when it may.

    `others` are the lists of the other servers, `used` how many Secrets are written by what. Two things must never
    be: a server writes what another cannot read, and a key goes while something is written with it.
    """
    for server, providers in sorted(others.items()):
        if not reads(providers, writes(new)):
            return f"it would write with {writes(new)}, which {server} ({words(providers)}) cannot read"
    for name, count in sorted(used.items()):
        if count and not reads(new, name):
            return f"{count} Secrets are written with {name}, which it could read no more"
    return ""


class Judge:
    """What all outcomes of one measurement share."""

    def __init__(self, now: datetime, run: str) -> None:
        self._now, self._run = now, run

    def outcome(self, check: str, subject: str, expected: str, seen: str, reason: str = "") -> Outcome:
        """A pass without a reason, a fail with one."""
        state = State.FAIL if reason else State.PASS
        return Outcome(check, subject, state, expected, seen, reason, self._now, VALID_FOR, self._run)

    def unknown(self, check: str, subject: str, expected: str, reason: str) -> Outcome:
        return Outcome(check, subject, State.UNKNOWN, expected, "no answer", reason, self._now, VALID_FOR, self._run)

    def sound(self, found: Mapping[str, Providers | str], files: Mapping[str, str]) -> list[Outcome]:
        """K021, before a change: each server's configuration is one of ours, or none. `files`: their digests."""
        differ = len(set(files.values())) > 1
        return [
            self.outcome("K021", server, "our configuration, or none", shown(state), _way_out(state, differ))
            for server, state in sorted(found.items())
        ]

    def same(self, found: Mapping[str, Providers | str], wanted: Providers) -> list[Outcome]:
        """K021, after it: each server has the same list in force."""
        return [
            self.outcome(
                "K021", server, words(wanted), shown(state), "" if state == wanted else "run secrets_encryption"
            )
            for server, state in sorted(found.items())
        ]

    def written(self, server: str, counts: Mapping[str, int], name: str) -> Outcome:
        """K022: every value in this server's datastore is written with `name`."""
        seen = ", ".join(f"{count} with {writer}" for writer, count in sorted(counts.items())) or "no Secret"
        bad = sum(count for writer, count in counts.items() if writer != name)
        total = sum(counts.values())
        reason = f"{bad} of {total} are not; run secrets_encryption" if bad or not total else ""
        return self.outcome("K022", server, f"all Secrets with {name}", seen, reason)

    def listed(self, counts: Mapping[str, int | str]) -> list[Outcome]:
        """K023: every server lists all Secrets; a text is why it does not."""
        most = max((count for count in counts.values() if isinstance(count, int)), default=0)
        return [
            self.outcome(
                "K023",
                server,
                f"{most} Secrets",
                f"{count} Secrets" if isinstance(count, int) else "a refusal",
                "" if count == most else count if isinstance(count, str) else "it lists fewer than another server",
            )
            for server, count in sorted(counts.items())
        ]

    def proved(self, noted: Mapping[str, str], servers: Sequence[str], name: str) -> list[Outcome]:
        """K024: a snapshot of each server, taken after everything was rewritten, held nothing of the old state.

        Where no canary was ever plain, the note says that only the member's own values were read.
        """
        outcomes = []
        for server in servers:
            expected, note = f"a snapshot with no trace of what was before {name}", noted.get(server, "")
            seen, reason = f"proved for {note}" if note else "no proof", ""
            if note == without_canary(name):
                expected = f"all values of its compacted member with {name}"
                seen = f"read so for {note}: no snapshot was searched"
            elif note != name:
                reason = "run secrets_encryption, which takes one and searches it"
            outcomes.append(self.outcome("K024", server, expected, seen, reason))
        return outcomes

    def kept(self, what: str, state: str) -> Outcome:
        """K025: a copy of `what` is off the cluster."""
        return self.outcome(
            "K025", what, "copied", state, "" if state == "copied" else "run secrets_encryption, which copies it"
        )

    def young(self, key: Key) -> Outcome:
        """K026: the key in use is younger than a year."""
        age = self._now - key.made
        reason = "" if age <= ROTATE_AFTER else "run secrets_encryption, which makes the next one"
        return self.outcome("K026", key.name, "younger than 366 days", f"{age.days} days old", reason)

    def spares(self, server: str, healthy: Mapping[str, bool]) -> Outcome:
        """K027: the others are a quorum while this server restarts."""
        seen = ", ".join(f"{name} {'healthy' if good else 'not healthy'}" for name, good in sorted(healthy.items()))
        return self.outcome("K027", server, "a quorum without it", seen, lost_without(server, healthy))

    def versions(
        self, versions: Mapping[str, str], running: Mapping[str, str], known: K3sEncryption, *, here: str
    ) -> Outcome:
        """K028: one version of K3s is installed on all servers, runs on all, and there is a safe route for it.

        A restart starts what is installed, so in the middle of a change of keys it would be an upgrade, too.
        """
        seen, expected = (
            ", ".join(f"{name} {version}" for name, version in sorted(versions.items())),
            "one good version",
        )
        if len(found := set(versions.values())) > 1:
            return self.outcome("K028", "servers", expected, seen, "finish the upgrade first")
        for name, version in sorted(running.items()):
            if version != versions[name]:
                reason = f"{name} still runs {version}: finish the upgrade first, by a restart of K3s"
                return self.outcome("K028", "servers", expected, seen, reason)
        try:
            chosen = route(found.pop(), known, here=here)
        except NoRoute as refusal:
            return self.outcome("K028", "servers", expected, seen, str(refusal))
        return self.outcome("K028", "servers", expected, f"{seen}; route {chosen.name}, because {chosen.why}")


def plain(name: str) -> str:
    """What writes, as steps say it of all Secrets."""
    return "all plain" if name == IDENTITY else f"all written with {name}"


def without_canary(name: str) -> str:
    """The note of a proof for the key `name` that had no marker to search for."""
    return f"{name}, without a canary"


def _way_out(state: Providers | str, differ: bool) -> str:
    if not isinstance(state, str):
        return ""
    if "other bytes" not in state:
        return "mend that first"
    return WAY_OUT if differ else UNKNOWN_KEY
