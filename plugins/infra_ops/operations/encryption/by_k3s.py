"""The route by K3s' own tool: K3s makes the keys and hands them to its servers in the datastore, when they start.

`k3s secrets-encrypt enable` on one server, `secrets-encryption: true` on all, `k3s secrets-encrypt rotate-keys` on one,
and a restart of each after both. https://github.com/k3s-io/k3s/pull/13370, https://docs.k3s.io/cli/secrets-encrypt
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from infra_ops.checks import managed_encryption as checks
from infra_ops.models.encryption import IDENTITY, writes
from infra_ops.models.managed_encryption import Managed, ManagedWay, made
from infra_ops.models.outcomes import Outcome
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.encryption import copies, managed, proof
from infra_ops.operations.encryption.road import GROUPS, Road

CANARY = "k3s"  # what the canary is planted for: the name of the key is not known before K3s has made it
NEW = "K3s' new key"


class ByK3s(Road[ManagedWay]):
    """From plain values to a key, and from a key to the next. Nothing leads back."""

    name = "managed"

    def sound(self) -> list[Outcome]:
        return checks.sound(self.judge(), self._all())

    def reversible(self) -> Sequence[Action]:
        """The part of the servers' configuration, as long as no server writes with a key. K3s' own empty list stays."""
        way = self.way()
        plain = {writes(seen.listed) for seen in self._all().values()} == {IDENTITY}
        if way is None or way.old != IDENTITY or not plain or set(self.estate.used()) - {IDENTITY}:
            return []
        return [each for each in self.work().groups["introduce"] if each.undo]

    def standing(self) -> list[Outcome]:
        """The same as after the work."""
        return self.verify()

    def verify(self) -> list[Outcome]:
        """K021 to K026. The key is in no copy of ours: it is in every snapshot, encrypted with the server token."""
        judge, seen = self.judge(), self._all()
        key = managed.key_in_use(seen)
        if not key:
            return [*checks.sound(judge, seen), *self.held(IDENTITY if self.request.params.get("disable") else "a key")]
        return [
            *checks.same(judge, seen, key),
            *self.held(key),
            *judge.proved(self.estate.keys.noted(), self.estate.servers.names, key),
            self.token_kept(),
            checks.young(judge, key, datetime.now(UTC)),
        ]

    def wish(self) -> ManagedWay | None:
        """What was begun is ended before anything is begun. Raises Refusal."""
        lists = {}
        for name, seen in self._all().items():
            state = checks.in_force(seen)
            if isinstance(state, str):
                raise Refusal(f"{name} is not understood: {state}.")
            lists[name] = state
        keys = checks.keys_in_use(lists)
        if self.request.params.get("disable"):
            if keys:
                raise Refusal(
                    "K3s manages the encryption here, and its way back to plain values is not carried out: it was "
                    "never rehearsed. Go by https://docs.k3s.io/cli/secrets-encrypt, Disable."
                )
            return None
        if not keys:
            return ManagedWay(IDENTITY, canary=True)
        canary = proof.is_planted(managed.reader(self.estate), CANARY)
        if len(keys) > 1:
            return ManagedWay(keys[0], canary)
        (key,) = keys
        before, noted = self.estate.keys.before(), self.estate.keys.noted()
        old = IDENTITY if before in ("", key) else before
        everywhere = all(writes(each) == key for each in lists.values())
        ended = everywhere and (all(noted.get(name) == key for name in lists) or not (canary or old != IDENTITY))
        if ended and (self.request.params.get("force") or checks.due(key, datetime.now(UTC))):
            return ManagedWay(key, canary)
        return ManagedWay(old, canary)

    def way(self) -> ManagedWay | None:
        plan = self.request.plan
        if plan is None or not plan.arguments["wish"]:
            return None
        return ManagedWay(plan.arguments["keys"][0], plan.arguments["canary"])

    def arguments(self, way: ManagedWay | None) -> dict[str, Any]:
        return {
            "wish": way.wish if way else "",
            "keys": [way.old] if way else [],
            "canary": bool(way and way.canary),
        }

    def groups(self, way: ManagedWay) -> dict[str, list[Action]]:
        estate, plain = self.estate, way.old == IDENTITY
        steps: dict[str, list[Action]] = {name: [] for name in GROUPS}
        steps["back_up"] = [
            *self.etcdctls(),
            self.token(),
            *([proof.planted(managed.reader(estate), CANARY)] if plain and way.canary else []),
            *self.snapshot(f"before-{way.wish}-{copies.slug('plain' if plain else way.old)}"),
        ]
        if plain:
            steps["introduce"] = [managed.enabled(estate), *managed.introduced(estate)]
        # One task for both: until a server is restarted it cannot read what K3s has rewritten.
        steps["encrypt"] = [managed.rotated(estate, way), *managed.followed(estate, way)]
        steps["rewrite"] = [self.rewriting(lambda: managed.key_in_use(self._all()), f"all written with {NEW}")]
        if not plain or way.canary:
            steps["prove"] = proof.proved(estate, way.old, lambda: managed.key_in_use(self._all()), NEW)
        return steps

    def why_nothing(self, way: ManagedWay | None) -> str:
        if way is None:
            return "Secrets are plain, as they shall be."
        key = managed.key_in_use(self._all())
        moment = made(key)
        due = f" It is of {moment:%Y-%m-%d} and due a year later." if moment else ""
        return f"All is as it should be: all written with {key}, which K3s made.{due}"

    def show(self, way: ManagedWay, wanted: Sequence[str]) -> None:
        for name in self.estate.servers.names:
            if f"switch.{name}" in wanted:
                managed.switch(self.estate, name, "present", check=True)

    def _all(self) -> dict[str, Managed]:
        return managed.look_at_all(self.estate)
