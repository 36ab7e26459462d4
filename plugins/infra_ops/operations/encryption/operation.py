"""The operation of the runbook secrets_encryption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from infra_ops import include
from infra_ops.checks.encryption import Judge, plain
from infra_ops.checks.ground import fresh_snapshot
from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import ClusterError
from infra_ops.facts import etcd
from infra_ops.facts.k3s import parse_version
from infra_ops.models.encryption import IDENTITY, NONE, Providers, Way, configuration, disabling, enabling, rotating
from infra_ops.models.outcomes import Outcome
from infra_ops.models.plans import Step
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.encryption import copies, keys, proof, stages
from infra_ops.operations.encryption.copies import OffCluster
from infra_ops.operations.encryption.estate import Estate
from infra_ops.operations.encryption.rewriting import rewrite
from infra_ops.operations.encryption.wishing import settled, wished
from infra_ops.operations.operation import Request, Work

GROUPS = ("back_up", "introduce", "encrypt", "rewrite", "prove", "forget")
MAKERS: dict[str, Callable[..., Way]] = {"enable": enabling, "rotate": rotating, "disable": disabling}


class SecretsEncryption:
    """Params: `force` rotates a key that is not due, `disable` leads back to plain values."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._estate = Estate(request.inventory)
        self._place = OffCluster(request.inventory)

    def preflight(self) -> list[Outcome]:
        """K004, K021, K027, K028: a fresh snapshot, sound files, quorum for each restart, one version."""
        judge, estate = self._judge(), self._estate
        health = estate.servers.health_after_restarts()
        versions = {name: self._version(name) for name in estate.servers.names}
        lists = estate.lists()
        managed = any(isinstance(state, str) and "managed by K3s" in state for state in lists.values())
        self._place.has("server-token")  # raises when the machine off the cluster is out of reach
        return [
            judge.versions(versions, include.k3s_encryption(), is_managed=managed),
            *(judge.spares(name, health) for name in estate.servers.names),
            fresh_snapshot(
                estate.first,
                copies.snapshots(estate.servers.machine(estate.first)),
                now=datetime.now(UTC),
                run=self._request.run,
            ),
            *judge.sound(lists),
        ]

    def work(self) -> Work:
        """The steps of the way that is wished for, as far as they are not done."""
        if self._request.plan:
            arguments = self._request.plan.arguments
            way = self._way()
            wanted = list(arguments["steps"])
            reasons: Sequence[str] = self._request.plan.nothing_to_do
        else:
            way = self._wish()
            all_groups = self._groups(way) if way else {}
            wanted = self._gaps(all_groups)
            reasons = [] if wanted else [self._why_nothing(way)]
            if way and wanted:
                self._show(way, wanted)
        groups = self._groups(way) if way else {name: [] for name in GROUPS}
        return Work(
            groups={name: [each for each in groups[name] if each.step.id in wanted] for name in GROUPS},
            arguments={"wish": way.wish if way else "", "keys": _names(way) if way else [], "steps": wanted},
            nothing_to_do=tuple(reasons),
        )

    def reversible(self) -> Sequence[Action]:
        """The lists, as long as nothing is written with what they lead to. Keys and copies stay."""
        work = self.work()
        way = self._way()
        if way is None or self._estate.written(self._estate.first).get(way.first, 0):
            return []
        taken = [*work.groups["introduce"], *work.groups["encrypt"]]
        return [stages.with_rests(self._estate, action) for action in taken]

    def standing(self) -> list[Outcome]:
        """What a run that only plans measures: the same as after its work, for the key that is in force now."""
        lists = self._estate.lists()
        known = {name: state for name, state in lists.items() if not isinstance(state, str)}
        key = settled(known) if len(known) == len(lists) else ""
        return self._measure(lists, (key, IDENTITY) if key else NONE)

    def verify(self) -> list[Outcome]:
        """K021 to K026."""
        way = self._way()
        return self._measure(self._estate.lists(), way.stages[-1] if way else NONE)

    def _measure(self, lists: Mapping[str, Providers | str], wanted: Providers) -> list[Outcome]:
        judge, estate = self._judge(), self._estate
        known, off = estate.keys.all(), wanted == NONE and self._request.params.get("disable")
        first = wanted[0] if wanted else IDENTITY
        goal = first if wanted or off else "a key"
        outcomes = [
            *judge.same(lists, wanted),
            *(judge.written(name, estate.written(name), goal) for name in estate.servers.names),
            *judge.listed({name: self._count(name) for name in estate.servers.names}),
        ]
        if not wanted:
            return outcomes
        machine = estate.servers.machine(estate.first)
        copied = copies.copied(self._place, copies.key_name(first), copies.key_file(known[first]))
        return [
            *outcomes,
            *judge.proved(estate.keys.noted(), estate.servers.names, first),
            judge.kept(first, copied),
            judge.kept("server token", copies.token_state(self._place, machine)),
            judge.young(known[first]),
        ]

    def _wish(self) -> Way | None:
        lists = {}
        for name, state in self._estate.lists().items():
            if isinstance(state, str):
                raise Refusal(f"{name} is not understood: {state}.")
            lists[name] = state
        params = self._request.params
        return wished(
            lists,
            self._estate.keys.all(),
            datetime.now(UTC),
            force=bool(params.get("force")),
            disable=bool(params.get("disable")),
        )

    def _way(self) -> Way | None:
        plan = self._request.plan
        if plan is None or not plan.arguments["wish"]:
            return None
        return MAKERS[plan.arguments["wish"]](*plan.arguments["keys"])

    def _groups(self, way: Way) -> dict[str, list[Action]]:
        """All steps of a way by the task that takes them."""
        estate, prefix = self._estate, f"before-{way.wish}-{_names(way)[-1]}"
        key = way.first if way.first != IDENTITY else way.old
        steps: dict[str, list[Action]] = {name: [] for name in GROUPS}
        steps["back_up"] = [
            *(self._etcdctl(name) for name in estate.servers.names),
            keys.stored(estate.keys, key),
            copies.key_copied(self._place, key, lambda: estate.keys.all().get(key)),
            copies.token_copied(self._place, estate.servers.machine(estate.first)),
            *([proof.planted(estate.servers.cluster, key)] if way.wish == "enable" else []),
            copies.snapshot_taken(estate.servers, estate.first, prefix),
            copies.snapshot_copied(estate.servers, estate.first, prefix, self._place),
        ]
        for place in range(len(way.stages) - 1):
            after = place + 1
            name = "introduce" if after < way.rewrite else "encrypt" if after == way.rewrite else "forget"
            steps[name] += stages.taken(estate, way, place, name)
        steps["rewrite"] = [self._rewriting(way)]
        steps["prove"] = proof.proved(estate, way) if way.first != IDENTITY else []
        return steps

    def _gaps(self, groups: Mapping[str, Sequence[Action]]) -> list[str]:
        """The steps that are not done. A snapshot and a canary are wanted only when something else changes."""
        found = [each.step.id for actions in groups.values() for each in actions if each.look() != each.step.after]
        changing = [id_ for id_ in found if id_ not in ("canary", "snapshot", "copy.snapshot")]
        return found if set(changing) - {"copy.token"} else changing

    def _why_nothing(self, way: Way | None) -> str:
        if way is None:
            return "Secrets are plain, as they shall be."
        made = self._estate.keys.all()[way.first].made if way.first != IDENTITY else None
        due = f" {way.first} is of {made:%Y-%m-%d} and due a year later." if made else ""
        return f"All is as it should be: {plain(way.first)}.{due}"

    def _show(self, way: Way, wanted: Sequence[str]) -> None:
        """Has Ansible show in the log what the next list would change on each server; keys are not shown."""
        place = next((place for place in range(len(way.stages) - 1) if self._has_step(way, place, wanted)), None)
        if place is None:
            return
        after, known = way.stages[place + 1], self._estate.keys.all()
        for server in self._estate.servers.names:
            if not after:
                self._estate.servers.ansible.play("withdraw_encryption_config", server, {"state": "absent"}, check=True)
                continue
            content = configuration(after, known) if all(n in known for n in after if n != IDENTITY) else "not yet made"
            self._estate.servers.ansible.play("write_encryption_config", server, {"content": content}, check=True)

    def _has_step(self, way: Way, place: int, wanted: Sequence[str]) -> bool:
        groups = self._groups(way)
        ids = [each.step.id for name in ("introduce", "encrypt", "forget") for each in groups[name]]
        count = len(self._estate.servers.names)
        return any(id_ in wanted for id_ in ids[place * count : (place + 1) * count])

    def _rewriting(self, way: Way) -> Action:
        estate = self._estate
        step = Step("rewrite", "every Secret", f"not {plain(way.first)}", plain(way.first))

        def look() -> str:
            return step.after if set(estate.written(estate.first)) <= {way.first} else step.before

        def do(effects: Effects) -> None:
            rewrite(estate.servers.cluster, lambda what, call: effects.do(step.id, what, call))

        return Action(step, look, do)

    def _etcdctl(self, name: str) -> Action:
        step = Step(f"etcdctl.{name}", f"etcdctl on {name}", "absent", "present")
        machine, ansible = self._estate.servers.machine(name), self._estate.servers.ansible

        def look() -> str:
            return step.after if etcd.has_etcdctl(machine) else step.before

        def do(effects: Effects) -> None:
            effects.do(step.id, f"install etcdctl on {name}", lambda: ansible.play("install_etcdctl", name))

        return Action(step, look, do)

    def _version(self, name: str) -> str:
        return parse_version(self._estate.servers.machine(name).run("k3s", "--version").text)

    def _count(self, name: str) -> int | str:
        try:
            return self._estate.servers.count_secrets(name)
        except ClusterError as error:
            return str(error)

    def _judge(self) -> Judge:
        return Judge(datetime.now(UTC), self._request.run)


def _names(way: Way) -> list[str]:
    """The keys that the way was made from."""
    return [way.old, way.first] if way.wish == "rotate" else [way.first if way.wish == "enable" else way.old]
