"""The runbook certificates carried out without Airflow: as its tasks do it, each with an operation made anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from infra_ops.clients.effects import Effects
from infra_ops.models.outcomes import Outcome, State, not_passed
from infra_ops.models.plans import Plan
from infra_ops.operations.actions import carry_out, first_missing, refuse_third_states
from infra_ops.operations.certificates.operation import GROUPS, RenewCertificates
from infra_ops.operations.operation import Request
from tests.lab.servers_of_k3s import SERVERS, K3sCluster, wait_until
from tests.lab.store.stage import Pages

RUNBOOK = "certificates"
AGENTS = ["rpi-4", "rpi-5"]  # five would only take longer
NODES = [*SERVERS, *AGENTS]


def unit(name: str) -> str:
    """The systemd unit of K3s on a node."""
    return "k3s" if name in SERVERS else "k3s-agent"


@dataclass
class Stage:
    k3s: K3sCluster
    journal: Pages = field(default_factory=Pages)
    said: list[str] = field(default_factory=list)

    def age(self, days: float, *names: str) -> None:
        """The certificates of these nodes end in so many days, and K3s runs there since they were made."""
        for name in names:
            self.k3s.age_certificates(name, days)
            self.k3s.let_run_since(name, 365 - days)

    def operation(self, plan: Plan | None = None) -> RenewCertificates:
        whole = self.k3s.inventory()
        some = whole.model_copy(update={"nodes": [node for node in whole.nodes if node.name in NODES]})
        return RenewCertificates(Request(f"{RUNBOOK}/test", {}, some, plan))

    def plan(self) -> Plan:
        """What the tasks `preflight` and `plan` do."""
        assert [each.sentence() for each in not_passed(self.operation().preflight())] == []
        work = self.operation().work()
        refuse_third_states(work.actions())
        return work.plan(RUNBOOK)

    def run(self, effects: Effects | None = None) -> Plan:
        """The whole runbook, up to and without `verify`."""
        plan = self.plan()
        for group in GROUPS.values():
            groups = self.operation(plan).work().groups
            for earlier in GROUPS.values():
                if earlier == group:
                    break
                assert first_missing(groups[earlier]) == ""
            carry_out(groups[group], effects or self.effects(), self.said.append)
        return plan

    def effects(self) -> Effects:
        return Effects(self.journal, still_allowed=lambda: None)

    def verify(self) -> dict[tuple[str, str], Outcome]:
        return {(each.id, each.subject): each for each in self.operation().verify()}

    def states(self, check: str) -> dict[str, State]:
        return {subject: each.state for (id_, subject), each in self.verify().items() if id_ == check}

    def days_left(self) -> dict[str, int]:
        """Of each node's first certificate to end, as the node itself tells it."""
        found = {}
        for name in NODES:
            lines = self.k3s.ssh(name, "sudo k3s certificate check --output table").stdout.splitlines()[3:]
            ends = [time.mktime(time.strptime(line.split()[-1], "%Y-%m-%dT%H:%M:%SZ")) for line in lines]
            found[name] = int((min(ends) - time.mktime(time.gmtime())) // 86400)
        return found

    def processes(self) -> dict[str, str]:
        """K3s on each node: another one after a restart."""
        return {name: self.k3s.ssh(name, f"systemctl show {unit(name)} -p MainPID").stdout for name in NODES}

    def starts(self, name: str) -> int:
        """How often K3s was started on a node, by its journal."""
        journal = self.k3s.ssh(name, f"journalctl -u {unit(name)} -n 1000 --no-pager").stdout
        return journal.count(f"Starting {unit(name)}")

    def wait_until_all_run(self) -> None:
        wait_until(lambda: all(self.k3s.answers(name) for name in SERVERS), 60)
        wait_until(lambda: all("inactive" not in self.processes()[name] for name in NODES), 60)


@contextmanager
def watched(k3s: K3sCluster) -> Iterator[list[set[str]]]:
    """Which servers did not answer at the same time, look by look."""
    looks: list[set[str]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            looks.append({name for name in SERVERS if not k3s.answers(name)})

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield looks
    finally:
        ended.set()
        watcher.join()


class Killed(BaseException):
    """The process is gone: nothing of ours may catch this."""


class Dying(Effects):
    """Dies at each effect in three ways, one after the other: before it, when it was only asked for, and after it.

    `ask` is what has happened by the second: the restart takes place without anybody who waits for it.
    """

    def __init__(self, stage: Stage, deaths: list[tuple[str, str]], ask: Callable[[str], None]) -> None:
        super().__init__(stage.journal, still_allowed=lambda: None)
        self._deaths, self._ask = deaths, ask

    def do(self, step: str, what: str, write: Callable[[], Any]) -> Any:
        for way in ("before", "asked", "after"):
            if (step, way) in self._deaths:
                continue
            self._deaths.append((step, way))
            if way == "asked":
                self._ask(step.removeprefix("renew."))
            if way == "after":
                super().do(step, what, write)
            raise Killed
        return super().do(step, what, write)
