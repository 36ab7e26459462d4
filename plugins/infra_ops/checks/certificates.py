"""How long are certificates good for, and which of them does a restart of K3s renew?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra_ops.models.certificates import Certificate, Issued, NodeCertificates, Shown, Unseen
from infra_ops.models.outcomes import Outcome, State

VALID_FOR = timedelta(days=2)  # measured every day
# K3s renews at its start what ends within 90 days (120 from v1.32.5 on), and at no other moment:
# https://docs.k3s.io/cli/certificate. A restart before that renews nothing.
RENEWED_WITHIN = timedelta(days=90)
LEAST_LEFT = timedelta(days=80)
LEAST_OF_AUTHORITY = timedelta(days=365)
LEAST_SHOWN = timedelta(days=14)  # cert-manager renews a certificate of 90 days when 30 are left
TIME_TO_START = timedelta(minutes=5)


def first_to_end(certificates: Iterable[Certificate]) -> Certificate:
    """The one with the least time left."""
    return min(certificates, key=lambda each: each.ends)


def is_due(node: NodeCertificates, now: datetime) -> bool:
    """A leaf of the node has less than 80 days left."""
    return first_to_end(node.leaves).ends - now < LEAST_LEFT


def renewed_by_a_start_since(node: NodeCertificates) -> datetime:
    """Whoever has started K3s since then has renewed what is due now: its first leaf was near enough to its end."""
    return first_to_end(node.leaves).ends - RENEWED_WITHIN


def not_renewed(node: NodeCertificates, now: datetime) -> str:
    """Why a restart would not help, "" when it would: K3s has been started since it could renew, and did not."""
    if node.started is None or node.started < renewed_by_a_start_since(node) or now - node.started < TIME_TO_START:
        return ""
    leaf = first_to_end(node.leaves)
    return (
        f"K3s was started on {node.started:%Y-%m-%d %H:%M} UTC and did not renew {leaf.name}, which it does within "
        f"{RENEWED_WITHIN.days} days of its end: its journal of that time says why, and one more restart would not help"
    )


def upgraded_by_a_restart(node: NodeCertificates, running: str) -> str:
    """Why a restart would do more than renew, "" when it would not. `running` is the kubelet's version."""
    if node.version == running:
        return ""
    runs = running or "an unknown version"
    return f"K3s {node.version} is installed there and {runs} runs: a restart would change that"


@dataclass(frozen=True)
class Judge:
    """Judges what was measured `at` a moment in one run."""

    at: datetime
    run: str

    def leaves(self, node: str, seen: NodeCertificates | Unseen) -> Outcome:
        """K035: every certificate that K3s made for a node has 80 days left."""
        if isinstance(seen, Unseen):
            return self._unknown("K035", node, LEAST_LEFT, seen.problem)
        first, reason = first_to_end(seen.leaves), ""
        if is_due(seen, self.at):
            reason = not_renewed(seen, self.at) or "a restart of K3s renews it: run certificates"
        words = f"{len(seen.leaves)} certificates, the first to end is {first.name}: {self._left(first.ends)}"
        return self._outcome("K035", node, LEAST_LEFT, words, reason)

    def authorities(self, server: str, seen: NodeCertificates | Unseen) -> Outcome:
        """K036: what a server signs with has a year left, so that no leaf outlives it."""
        if isinstance(seen, Unseen):
            return self._unknown("K036", server, LEAST_OF_AUTHORITY, seen.problem)
        if not seen.authorities:
            return self._unknown("K036", server, LEAST_OF_AUTHORITY, "the server has no file of an authority")
        first = first_to_end(seen.authorities)
        good = first.ends - self.at >= LEAST_OF_AUTHORITY
        reason = "" if good else "K3s never renews it: plan `k3s certificate rotate-ca`"
        return self._outcome("K036", server, LEAST_OF_AUTHORITY, f"{first.name}: {self._left(first.ends)}", reason)

    def shown(self, check: str, sites: Mapping[str, Shown | Unseen]) -> list[Outcome]:
        """K037 (ingresses) and K038 (webhooks), one a site: what it shows has 14 days left. No site at all is a pass.

        Whether its clients would trust it is told and not judged: at home many authorities are known to few.
        """
        found = [self._site(check, subject, seen) for subject, seen in sorted(sites.items())]
        return found or [self._outcome(check, "all", LEAST_SHOWN, "there is none", "")]

    def issued(self, certificates: Iterable[Issued]) -> list[Outcome]:
        """K039, one a Certificate of cert-manager: it was issued, is good for 14 days, and cert-manager is content."""
        found = [self._issued(each) for each in certificates]
        return found or [self._outcome("K039", "all", LEAST_SHOWN, "there is none", "")]

    def _site(self, check: str, subject: str, seen: Shown | Unseen) -> Outcome:
        if isinstance(seen, Unseen):
            return self._unknown(check, subject, LEAST_SHOWN, seen.problem)
        words = f"{self._left(seen.ends)}, {f'not trusted: {seen.distrust}' if seen.distrust else 'trusted'}"
        good = seen.ends - self.at >= LEAST_SHOWN
        return self._outcome(check, subject, LEAST_SHOWN, words, "" if good else "whoever issued it did not renew it")

    def _issued(self, each: Issued) -> Outcome:
        if each.ends is None:
            return self._outcome("K039", each.subject, LEAST_SHOWN, "none yet", each.word or "nothing was issued")
        late = "" if each.ends - self.at >= LEAST_SHOWN else "cert-manager did not renew it"
        return self._outcome("K039", each.subject, LEAST_SHOWN, self._left(each.ends), each.word or late)

    def _outcome(self, check: str, subject: str, least: timedelta, seen: str, reason: str) -> Outcome:
        """A pass without a reason, a fail with one."""
        state = State.FAIL if reason else State.PASS
        return Outcome(check, subject, state, _expected(least), seen, reason, self.at, VALID_FOR, self.run)

    def _unknown(self, check: str, subject: str, least: timedelta, problem: str) -> Outcome:
        return Outcome(
            check, subject, State.UNKNOWN, _expected(least), "nothing", problem, self.at, VALID_FOR, self.run
        )

    def _left(self, ends: datetime) -> str:
        days = (ends - self.at).days
        return f"{days} days left" if days >= 0 else f"ended on {ends:%Y-%m-%d}"


def _expected(least: timedelta) -> str:
    return f"at least {least.days} days left"
