"""The operation of the runbook certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from infra_ops.checks import certificates as checks
from infra_ops.checks.ground import fresh_snapshot
from infra_ops.models.certificates import NodeCertificates, Unseen
from infra_ops.models.outcomes import Outcome
from infra_ops.operations.actions import Action
from infra_ops.operations.certificates.estate import Estate
from infra_ops.operations.certificates.renewing import renewal
from infra_ops.operations.encryption.copies import snapshots
from infra_ops.operations.operation import Request, Work
from infra_ops.operations.servers import QuorumAtRisk, refuse_lost_quorum

GROUPS = {"server": "renew_servers", "agent": "renew_agents"}


class RenewCertificates:
    """Has no params of its own: what has under 80 days left is renewed, servers before agents, one node at a time."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._estate = Estate(request.inventory)

    def preflight(self) -> list[Outcome]:
        """K004 when a server is going to be restarted. Raises QuorumAtRisk when something is due and a server is ill:
        nothing is restarted beside that.
        """
        wanted, _ = self._wanted(self._estate.all())
        if not wanted:
            return []
        servers = self._estate.servers
        if ill := [name for name, good in servers.health_after_restarts().items() if not good]:
            raise QuorumAtRisk(
                f"Certificates of {', '.join(wanted)} are due and nothing is restarted, because the etcd members of "
                f"{', '.join(ill)} are not healthy: mend that first."
            )
        restarted = [name for name in wanted if name in servers.names]
        for name in restarted:
            refuse_lost_quorum(servers, name)
        return [self._fresh_snapshot(restarted[0])] if restarted else []

    def work(self) -> Work:
        """A restart of each node with a certificate that is due."""
        if self._request.plan:
            wanted: list[str] = self._request.plan.arguments["due"]
            reasons: Sequence[str] = self._request.plan.nothing_to_do
        else:
            seen = self._estate.all()
            wanted, left_out = self._wanted(seen)
            reasons = left_out or ([] if wanted else [_why_nothing(seen)])
        return Work(
            groups={
                group: [renewal(self._estate, name) for name in wanted if self._estate.nodes[name].role == role]
                for role, group in GROUPS.items()
            },
            arguments={"due": wanted},
            nothing_to_do=tuple(reasons),
        )

    def reversible(self) -> Sequence[Action]:
        """Nothing: a renewed certificate is as good as the old one, for longer."""
        return []

    def standing(self) -> list[Outcome]:
        """The same as `verify`: a certificate that runs out is a fault whether or not anything is changed."""
        return self.verify()

    def verify(self) -> list[Outcome]:
        """K035 to K039: nodes, K3s' authorities, ingresses, webhooks, cert-manager."""
        estate, judge = self._estate, checks.Judge(datetime.now(UTC), self._request.run)
        seen = estate.all()
        return [
            *(judge.leaves(name, each) for name, each in seen.items()),
            *(judge.authorities(name, seen[name]) for name in estate.servers.names),
            *judge.shown("K037", estate.ingresses()),
            *judge.shown("K038", estate.webhooks()),
            *judge.issued(estate.issued()),
        ]

    def _fresh_snapshot(self, server: str) -> Outcome:
        found = snapshots(self._estate.servers.machine(server))
        return fresh_snapshot(server, found, now=datetime.now(UTC), run=self._request.run)

    def _wanted(self, seen: Mapping[str, NodeCertificates | Unseen]) -> tuple[list[str], list[str]]:
        """The nodes that are due, servers first, and why others are left out though they may be."""
        now, wanted, left_out = datetime.now(UTC), [], []
        due = [each for each in seen.values() if isinstance(each, NodeCertificates) and checks.is_due(each, now)]
        running = self._estate.running_versions() if due else {}
        for node in due:
            why = checks.not_renewed(node, now) or checks.upgraded_by_a_restart(node, running.get(node.node, ""))
            if why:
                left_out.append(f"{node.node} is left out: {why}.")
            else:
                wanted.append(node.node)
        left_out += [f"{name} is left out: {each.problem}." for name, each in seen.items() if isinstance(each, Unseen)]
        return sorted(wanted, key=lambda name: self._estate.nodes[name].role != "server"), left_out


def _why_nothing(seen: Mapping[str, NodeCertificates | Unseen]) -> str:
    known = [each for each in seen.values() if isinstance(each, NodeCertificates)]
    first = min(known, key=lambda each: checks.first_to_end(each.leaves).ends)
    leaf = checks.first_to_end(first.leaves)
    return (
        f"Nothing is restarted: the first certificate of K3s to end is {leaf.name} on {first.node}, on "
        f"{leaf.ends:%Y-%m-%d}, and K3s renews nothing before its last {checks.RENEWED_WITHIN.days} days. Under "
        f"{checks.LEAST_LEFT.days} days it will be renewed."
    )
