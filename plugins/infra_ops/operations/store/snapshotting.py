"""The operation of the runbook openbao_snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from infra_ops.checks import store as checks
from infra_ops.clients.applying import Deployer
from infra_ops.clients.openbao import OpenBao
from infra_ops.facts import openbao as facts
from infra_ops.models.outcomes import Outcome
from infra_ops.operations.actions import Action
from infra_ops.operations.operation import Request, Work
from infra_ops.operations.store import rehearsing
from infra_ops.operations.store.copies import Copies
from infra_ops.operations.store.parts import Part, Write, actions

KEPT = 14


class SnapshotOpenbao:
    """Has no params of its own. Each run takes a snapshot of its own, whatever earlier ones left."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._mount = request.inventory.store.mount
        self._cluster = Deployer()
        self._copies = Copies()
        self._store: OpenBao | None = None

    def preflight(self) -> list[Outcome]:
        """K014: the store serves."""
        return [checks.serves(facts.serving(self._cluster), now=datetime.now(UTC), run=self._request.run)]

    def work(self) -> Work:
        groups = {
            "take": [self._canary(), self._snapshot()],
            "rehearse": [rehearsing.part(self._cluster, self._copies, self._request.run, self._mount)],
            "forget": [self._surplus()],
        }
        before = {
            "openbao.canary": "another run's",
            "openbao.snapshot": "not taken",
            "openbao.rehearsal": "nobody has restored it",
            "openbao.surplus": f"more than {KEPT}",
        }
        return Work(
            groups={name: actions(parts, before) for name, parts in groups.items()},
            arguments={"run": self._request.run},
        )

    def reversible(self) -> Sequence[Action]:
        """Nothing: a snapshot harms nobody, and the scratch store is put to sleep by whoever woke it."""
        return []

    def standing(self) -> list[Outcome]:
        """The same as after its work: an old snapshot is too old whoever looks."""
        return self.verify()

    def verify(self) -> list[Outcome]:
        """K018, and K015: who looks every day reminds of recovery keys that lie about."""
        now, run = datetime.now(UTC), self._request.run
        found = self._copies.all()
        rehearsal = self._copies.rehearsal(found[-1]) if found else None
        return [
            checks.restorable(rehearsal, now=now, run=run),
            checks.handed_over(facts.handover(self._cluster, facts.server(self._cluster)), now=now, run=run),
        ]

    def _canary(self) -> Part:
        path = rehearsing.canary_path(self._mount)

        def look() -> str:
            ours = rehearsing.canary(self._logged_in(), self._mount) == self._request.run
            return "this run's" if ours else "another run's"

        def do(write: Write) -> None:
            write("write the canary", lambda: self._logged_in().write(path, {"data": {"run": self._request.run}}))

        return Part("openbao.canary", f"store path {path}", "this run's", look, do)

    def _snapshot(self) -> Part:
        def look() -> str:
            return "taken" if self._copies.of(self._request.run) else "not taken"

        def do(write: Write) -> None:
            save = self._logged_in().save_snapshot
            write("take a snapshot", lambda: self._copies.keep(self._request.run, save))

        return Part("openbao.snapshot", "the snapshot of this run", "taken", look, do)

    def _surplus(self) -> Part:
        def look() -> str:
            return f"more than {KEPT}" if self._copies.surplus(KEPT) else f"at most {KEPT}"

        def do(write: Write) -> None:
            write("delete the oldest", lambda: self._copies.remove(self._copies.surplus(KEPT)))

        return Part("openbao.surplus", "snapshots that are kept", f"at most {KEPT}", look, do)

    def _logged_in(self) -> OpenBao:
        if self._store is None:
            store = facts.server(self._cluster)
            store.log_in(rehearsing.IDENTITY, self._cluster.token_of("airflow", rehearsing.IDENTITY))
            self._store = store
        return self._store
