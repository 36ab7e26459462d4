"""The step that renews a node's certificates: K3s is restarted there, which is the only moment at which it renews."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from infra_ops.checks.certificates import TIME_TO_START, first_to_end, is_due, not_renewed, renewed_by_a_start_since
from infra_ops.clients.effects import Effects
from infra_ops.models.certificates import NodeCertificates
from infra_ops.models.plans import Step
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.certificates.estate import Estate
from infra_ops.operations.servers import ready, restart, start_again
from infra_ops.operations.waiting import asked_until


class NotRenewed(Refusal):
    """K3s started and renewed nothing."""


def renewal(estate: Estate, name: str) -> Action:
    """Restart K3s on one node. There is no way back, and nobody wants one."""
    step = Step(f"renew.{name}", f"the certificates of K3s on {name}", before="due", after="renewed")

    def look() -> str:
        due = is_due(estate.seen_through_a_start(name), datetime.now(UTC))
        return step.before if due else step.after

    def do(effects: Effects) -> None:
        _renew(estate, name, effects, step.id)

    return Action(step, look, do)


def _renew(estate: Estate, name: str, effects: Effects, step: str) -> None:
    """`since` comes from the certificates themselves: a restart that an interrupted run has asked for counts."""
    found = estate.seen_through_a_start(name)
    if why := not_renewed(found, datetime.now(UTC)):
        raise NotRenewed(f"{name} is not restarted: {why}.")
    since = renewed_by_a_start_since(found).timestamp()

    def write(what: str, call: Callable[[], Any]) -> Any:
        return effects.do(step, what, call)

    if estate.nodes[name].role == "server":
        restart(estate.servers, name, since, write, ready)
    else:
        start_again(estate.servers.ansible, name, since, write)
    _wait_until_renewed(estate, name)


def _wait_until_renewed(estate: Estate, name: str, patience: timedelta = TIME_TO_START) -> None:
    """An agent's unit counts as started before it has fetched its certificates. Raises NotRenewed."""

    def is_renewed(found: NodeCertificates) -> bool:
        return not is_due(found, datetime.now(UTC))

    found = asked_until(is_renewed, lambda: estate.seen_through_a_start(name), patience.total_seconds())
    if not is_renewed(found):
        raise NotRenewed(f"K3s was restarted on {name} and did not renew {first_to_end(found.leaves).name}.")
