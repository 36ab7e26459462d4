"""The operation of the runbook rotate_credentials."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain

from infra_ops.checks import credentials as checks
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.clients.vault import Vault
from infra_ops.models.outcomes import Outcome
from infra_ops.operations.actions import Action
from infra_ops.operations.operation import Request, Work
from infra_ops.operations.rotation.due import Due, again, due
from infra_ops.operations.rotation.progress import moving, standing
from infra_ops.operations.rotation.rotation import Rotation


class RotateCredentials:
    """Params: `credentials`, the ids to rotate (all that are due, when it is empty); `force`, young ones too."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._inventory = request.inventory
        self._cluster = Cluster()
        self._kv = Kv(Vault(), request.inventory.store.mount)

    def preflight(self) -> list[Outcome]:
        """Every credential is accepted as it is stored now: a rotation starts from a value that works."""
        return [self._accepted(rotation, current=True) for rotation in self._rotations()]

    def work(self) -> Work:
        if self._request.plan:
            rotations, reasons = self._rotations(), self._request.plan.nothing_to_do
        else:
            found = self._due()
            rotations, reasons = list(found.rotations), found.reasons
        return Work(
            groups={
                "introduce": list(chain.from_iterable(rotation.introduce() for rotation in rotations)),
                "switch": list(chain.from_iterable(rotation.switch() for rotation in rotations)),
                "retire": list(chain.from_iterable(rotation.retire() for rotation in rotations)),
                "finish": list(chain.from_iterable(rotation.finish() for rotation in rotations)),
            },
            subjects=[rotation.id for rotation in rotations],
            # Pairs: Airflow's database does not keep the order of a dict's keys, and the steps' order is theirs.
            arguments={"versions": [[rotation.id, rotation.change.old.version] for rotation in rotations]},
            nothing_to_do=tuple(reasons),
        )

    def reversible(self) -> Sequence[Action]:
        """As long as no new value has become the current one, all of them go; from then on the good way is on."""
        rotations = self._rotations()
        if any(rotation.is_promoted() for rotation in rotations):
            return []
        return list(chain.from_iterable(rotation.reversible() for rotation in rotations))

    def verify(self) -> list[Outcome]:
        """K010 to K013 of each credential of the plan, or of all that were asked for when nothing was due."""
        outcomes: list[Outcome] = []
        now = datetime.now(UTC)
        for rotation in self._rotations():
            outcomes.append(self._accepted(rotation))
            outcomes.append(checks.moved(rotation.id, moving(rotation, self._cluster), now=now, run=self._request.run))
        for id_ in self._asked():
            outcomes += standing(self._inventory, id_, self._kv, now=now, run=self._request.run)
        return outcomes

    def _rotations(self) -> list[Rotation]:
        """Those of the plan; before there is one, those that are due."""
        if self._request.plan is None:
            return list(self._due().rotations)
        return again(self._inventory, dict(self._request.plan.arguments["versions"]), self._kv, self._cluster)

    def _due(self) -> Due:
        return due(
            self._inventory,
            self._asked(),
            self._kv,
            self._cluster,
            now=datetime.now(UTC),
            force=bool(self._request.params.get("force")),
        )

    def _asked(self) -> list[str]:
        return list(self._request.params.get("credentials") or self._inventory.rotated())

    def _accepted(self, rotation: Rotation, *, current: bool = False) -> Outcome:
        credential = rotation.current() if current else rotation.newest()
        login = rotation.target.log_in(credential.username, credential.password)
        rolling = {} if current else rotation.rolling()
        return checks.accepted(rotation.id, login, rolling, now=datetime.now(UTC), run=self._request.run)
