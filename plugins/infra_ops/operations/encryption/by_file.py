"""The route by an EncryptionConfiguration of our own: its keys are made here, and every version of K3s reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from infra_ops.checks.encryption import plain
from infra_ops.models.encryption import (
    IDENTITY,
    NONE,
    Providers,
    Way,
    configuration,
    disabling,
    enabling,
    rotating,
    writes,
)
from infra_ops.models.outcomes import Outcome
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.encryption import copies, keys, proof, stages
from infra_ops.operations.encryption.road import GROUPS, Road
from infra_ops.operations.encryption.wishing import settled, wished

MAKERS: dict[str, Callable[..., Way]] = {"enable": enabling, "rotate": rotating, "disable": disabling}


class ByFile(Road[Way]):
    """From list to list, all servers before any of them takes the next."""

    name = "file"

    def sound(self) -> list[Outcome]:
        seen = self.estate.all_seen()
        states = self.estate.judged(seen)
        files = {name: each.file.sha256 for name, each in seen.items() if each.file}
        return self.judge().sound(states, files)

    def reversible(self) -> Sequence[Action]:
        """The lists, as long as nothing is written with what they lead to. Keys and copies stay."""
        work = self.work()
        way = self.way()
        if way is None or self.estate.used().get(way.first, 0):
            return []
        taken = [*work.groups["introduce"], *work.groups["encrypt"]]
        return [stages.with_rests(self.estate, action) for action in taken]

    def standing(self) -> list[Outcome]:
        """The same as after the work, for the key that is in force now."""
        lists = self.estate.lists()
        known = {name: state for name, state in lists.items() if not isinstance(state, str)}
        key = settled(known) if len(known) == len(lists) else ""
        return self._measure(lists, (key, IDENTITY) if key else NONE)

    def verify(self) -> list[Outcome]:
        """K021 to K026."""
        way = self.way()
        return self._measure(self.estate.lists(), way.stages[-1] if way else NONE)

    def _measure(self, lists: Mapping[str, Providers | str], wanted: Providers) -> list[Outcome]:
        judge, estate = self.judge(), self.estate
        known, off = estate.keys.all(), wanted == NONE and self.request.params.get("disable")
        first = wanted[0] if wanted else IDENTITY
        outcomes = [*judge.same(lists, wanted), *self.held(first if wanted or off else "a key")]
        if not wanted:
            return outcomes
        copied = copies.copied(self.place, copies.key_name(first), copies.key_file(known[first]))
        return [
            *outcomes,
            *judge.proved(estate.keys.noted(), estate.servers.names, first),
            judge.kept(first, copied),
            self.token_kept(),
            judge.young(known[first]),
        ]

    def wish(self) -> Way | None:
        params = self.request.params
        seen = self.estate.all_seen()
        lists = {}
        for name, state in self.estate.judged(seen).items():
            if isinstance(state, str):
                raise Refusal(f"{name} is not understood: {state}.")
            # A server that works without a list may still have its keys on the disk: then it is not plain yet.
            lists[name] = state if state != NONE or not params.get("disable") else seen[name].providers
        way = wished(
            lists,
            self.estate.keys.all(),
            datetime.now(UTC),
            force=bool(params.get("force")),
            disable=bool(params.get("disable")),
        )
        return replace(way, canary=self._canary(way, lists)) if way and way.wish == "enable" else way

    def _canary(self, way: Way, lists: Mapping[str, Providers]) -> bool:
        """One that is planted while a server writes with a key was never plain: to find it nowhere proves nothing."""
        plain = all(writes(providers) == IDENTITY for providers in lists.values())
        return plain or proof.is_planted(self.estate.servers.cluster, way.first)

    def way(self) -> Way | None:
        plan = self.request.plan
        if plan is None or not plan.arguments["wish"]:
            return None
        return replace(MAKERS[plan.arguments["wish"]](*plan.arguments["keys"]), canary=plan.arguments["canary"])

    def arguments(self, way: Way | None) -> dict[str, Any]:
        return {
            "wish": way.wish if way else "",
            "keys": _names(way) if way else [],
            "canary": bool(way and way.canary),
        }

    def groups(self, way: Way) -> dict[str, list[Action]]:
        estate = self.estate
        key = way.first if way.first != IDENTITY else way.old
        steps: dict[str, list[Action]] = {name: [] for name in GROUPS}
        steps["back_up"] = [
            *self.etcdctls(),
            keys.stored(estate.keys, key),
            copies.key_copied(self.place, key, lambda: estate.keys.all().get(key)),
            self.token(),
            *([proof.planted(estate.servers.cluster, key)] if way.wish == "enable" and way.canary else []),
            *([keys.unproved(estate.keys, key)] if way.wish == "disable" else []),
            *self.snapshot(f"before-{way.wish}-{_names(way)[-1]}"),
        ]
        for place in range(len(way.stages) - 1):
            after = place + 1
            name = "introduce" if after < way.rewrite else "encrypt" if after == way.rewrite else "forget"
            steps[name] += stages.taken(estate, way, place, name)
        steps["rewrite"] = [self.rewriting(lambda: way.first, plain(way.first))]
        if way.first != IDENTITY:
            steps["prove"] = proof.proved(estate, way.old, lambda: way.first, way.first, canary=way.canary)
        return steps

    def why_nothing(self, way: Way | None) -> str:
        if way is None:
            return "Secrets are plain, as they shall be."
        made = self.estate.keys.all()[way.first].made if way.first != IDENTITY else None
        due = f" {way.first} is of {made:%Y-%m-%d} and due a year later." if made else ""
        return f"All is as it should be: {plain(way.first)}.{due}"

    def show(self, way: Way, wanted: Sequence[str]) -> None:
        """What the next list would change."""
        place = next((place for place in range(len(way.stages) - 1) if self._has_step(way, place, wanted)), None)
        if place is None:
            return
        after, known, servers = way.stages[place + 1], self.estate.keys.all(), self.estate.servers
        for server in servers.names:
            if not after:
                servers.ansible.play("withdraw_encryption_config", server, {"state": "absent"}, check=True)
                continue
            content = configuration(after, known) if all(n in known for n in after if n != IDENTITY) else "not yet made"
            servers.ansible.play("write_encryption_config", server, {"content": content}, check=True)

    def _has_step(self, way: Way, place: int, wanted: Sequence[str]) -> bool:
        groups = self.groups(way)
        ids = [each.step.id for name in ("introduce", "encrypt", "forget") for each in groups[name]]
        count = len(self.estate.servers.names)
        return any(id_ in wanted for id_ in ids[place * count : (place + 1) * count])


def _names(way: Way) -> list[str]:
    """The keys that the way was made from."""
    return [way.old, way.first] if way.wish == "rotate" else [way.first if way.wish == "enable" else way.old]
