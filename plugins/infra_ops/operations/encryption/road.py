"""What both routes of encryption have in common: the steps that both take, and how a plan is made of a way's steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from infra_ops.checks.encryption import Judge
from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import ClusterError
from infra_ops.facts import etcd
from infra_ops.models.outcomes import Outcome
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action
from infra_ops.operations.encryption import copies
from infra_ops.operations.encryption.copies import OffCluster
from infra_ops.operations.encryption.estate import Estate
from infra_ops.operations.encryption.rewriting import rewrite
from infra_ops.operations.operation import Request, Work

GROUPS = ("back_up", "introduce", "encrypt", "rewrite", "prove", "forget")
AnyWay = TypeVar("AnyWay")


class Road(ABC, Generic[AnyWay]):
    """A route that is taken. What it leads over is a way: a wish, and all that its steps are derived from."""

    name: str  # as in a plan's arguments

    def __init__(self, request: Request, estate: Estate, place: OffCluster) -> None:
        self.request = request
        self.estate = estate
        self.place = place

    @abstractmethod
    def sound(self) -> list[Outcome]:
        """K021, before a change."""

    @abstractmethod
    def reversible(self) -> Sequence[Action]:
        """See Operation."""

    @abstractmethod
    def standing(self) -> list[Outcome]:
        """See Operation."""

    @abstractmethod
    def verify(self) -> list[Outcome]:
        """See Operation."""

    @abstractmethod
    def wish(self) -> AnyWay | None:
        """The way that is wished for; None when there is none to go. Raises Refusal."""

    @abstractmethod
    def way(self) -> AnyWay | None:
        """That of the run's plan."""

    @abstractmethod
    def arguments(self, way: AnyWay | None) -> dict[str, Any]:
        """What `way` makes it of again."""

    @abstractmethod
    def groups(self, way: AnyWay) -> dict[str, list[Action]]:
        """All steps of a way by the task that takes them."""

    @abstractmethod
    def why_nothing(self, way: AnyWay | None) -> str:
        """A sentence for a plan without steps."""

    @abstractmethod
    def show(self, way: AnyWay, wanted: Sequence[str]) -> None:
        """Has Ansible show in the log what would be changed on each server; keys are not shown."""

    def work(self) -> Work:
        """The steps of the way that is wished for, as far as they are not done."""
        if plan := self.request.plan:
            way = self.way()
            wanted = list(plan.arguments["steps"])
            reasons: Sequence[str] = plan.nothing_to_do
        else:
            way = self.wish()
            wanted = self._gaps(self.groups(way) if way else {})
            reasons = [] if wanted else [self.why_nothing(way)]
            if way and wanted:
                self.show(way, wanted)
        groups = self.groups(way) if way else {name: [] for name in GROUPS}
        return Work(
            groups={name: [each for each in groups[name] if each.step.id in wanted] for name in GROUPS},
            arguments={"route": self.name, **self.arguments(way), "steps": wanted},
            nothing_to_do=tuple(reasons),
        )

    def _gaps(self, groups: Mapping[str, Sequence[Action]]) -> list[str]:
        """The steps that are not done. A snapshot and a canary are wanted only when something else changes."""
        found = [each.step.id for actions in groups.values() for each in actions if each.look() != each.step.after]
        changing = [id_ for id_ in found if id_ not in ("canary", "snapshot", "copy.snapshot")]
        return found if set(changing) - {"copy.token"} else changing

    def etcdctls(self) -> list[Action]:
        """The steps that bring etcdctl to every server."""
        return [self._etcdctl(name) for name in self.estate.servers.names]

    def snapshot(self, prefix: str) -> list[Action]:
        """The steps that take a snapshot and copy it off the cluster."""
        servers, first = self.estate.servers, self.estate.first
        return [
            copies.snapshot_taken(servers, first, prefix),
            copies.snapshot_copied(servers, first, prefix, self.place),
        ]

    def token(self) -> Action:
        """The step that copies the server token."""
        return copies.token_copied(self.place, self.estate.servers.machine(self.estate.first))

    def token_kept(self) -> Outcome:
        """K025 of the server token."""
        machine = self.estate.servers.machine(self.estate.first)
        return self.judge().kept("server token", copies.token_state(self.place, machine))

    def held(self, goal: str) -> list[Outcome]:
        """K022 and K023: everything is written with `goal`, and every server lists it."""
        judge, estate = self.judge(), self.estate
        return [
            *(judge.written(name, estate.written(name), goal) for name in estate.servers.names),
            *judge.listed({name: self._count(name) for name in estate.servers.names}),
        ]

    def rewriting(self, writer: Callable[[], str], after: str) -> Action:
        """The step that writes every Secret again; `writer` tells by what all are written then."""
        estate = self.estate
        step = Step("rewrite", "every Secret", f"not {after}", after)

        def look() -> str:
            return step.after if set(estate.written(estate.first)) <= {writer()} else step.before

        def do(effects: Effects) -> None:
            rewrite(estate.servers.cluster, lambda what, call: effects.do(step.id, what, call))

        return Action(step, look, do)

    def judge(self) -> Judge:
        return Judge(datetime.now(UTC), self.request.run)

    def _etcdctl(self, name: str) -> Action:
        step = Step(f"etcdctl.{name}", f"etcdctl on {name}", "absent", "present")
        machine, ansible = self.estate.servers.machine(name), self.estate.servers.ansible

        def look() -> str:
            return step.after if etcd.has_etcdctl(machine) else step.before

        def do(effects: Effects) -> None:
            effects.do(step.id, f"install etcdctl on {name}", lambda: ansible.play("install_etcdctl", name))

        return Action(step, look, do)

    def _count(self, name: str) -> int | str:
        try:
            return self.estate.servers.count_secrets(name)
        except ClusterError as error:
            return str(error)
