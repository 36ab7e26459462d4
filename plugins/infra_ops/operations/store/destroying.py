"""The operation of the runbook destroy_old_versions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from infra_ops.checks import store as checks
from infra_ops.clients.effects import Effects
from infra_ops.clients.vault import Vault
from infra_ops.clients.versions import Versions
from infra_ops.models.outcomes import Outcome
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action
from infra_ops.operations.operation import Request, Work
from infra_ops.operations.store.versions import LEAST_KEPT, retired


class DestroyOldVersions:
    """Has no params of its own: of every stored credential the newest two versions stay."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._versions = Versions(Vault(), request.inventory.store.mount)

    def preflight(self) -> list[Outcome]:
        """Nothing: it reads metadata, and destroys only what nobody uses."""
        return []

    def work(self) -> Work:
        if self._request.plan:
            found = {id_: list(versions) for id_, versions in self._request.plan.arguments["versions"]}
        else:
            found = {id_: old for id_, old in self._left().items() if old}
        return Work(
            groups={"destroy": [self._action(id_, versions) for id_, versions in found.items()]},
            arguments={"versions": [[id_, versions] for id_, versions in found.items()]},
            nothing_to_do=() if found else ("No credential has a version that can be read and is not needed.",),
        )

    def reversible(self) -> Sequence[Action]:
        """Nothing: what is destroyed is gone."""
        return []

    def standing(self) -> list[Outcome]:
        """K019, which is what its work amounts to."""
        return self.verify()

    def verify(self) -> list[Outcome]:
        """K019 of every stored credential."""
        return checks.old_versions(self._left(), LEAST_KEPT, now=datetime.now(UTC), run=self._request.run)

    def _left(self) -> dict[str, list[int]]:
        return {id_: retired(self._versions.readable(id_), LEAST_KEPT) for id_ in self._versions.ids()}

    def _action(self, id_: str, versions: list[int]) -> Action:
        step = Step(
            f"{id_}.destroy",
            f"versions {', '.join(map(str, versions))} of svc/{id_}",
            before="can be read",
            after="destroyed",
        )

        def left() -> list[int]:
            return [version for version in versions if version in self._versions.readable(id_)]

        def look() -> str:
            return step.before if left() else step.after

        def do(effects: Effects) -> None:
            effects.do(step.id, f"destroy {step.target}", lambda: self._versions.destroy(id_, left()))

        return Action(step, look, do)
