"""The operation of the runbook rotate_credentials."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain

from infra_ops.checks import credentials as checks
from infra_ops.models.outcomes import Outcome
from infra_ops.operations.actions import Action
from infra_ops.operations.operation import Request, Work
from infra_ops.operations.rotation.due import Due, again, due, rollbacks
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.progress import accepted, moving, standing
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.strangers import old_copies, refuse_strangers


class RotateCredentials:
    """Params: `credentials`, the ids to rotate (all that are due, when it is empty); `force`, young ones too;
    `rollback`, to the value before the current one.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._estate = Estate.of(request.inventory)

    def preflight(self) -> list[Outcome]:
        """Every credential is accepted as it is stored now: a rotation starts from a value that works."""
        return [
            checks.accepted(rotation.id, rotation.working(), {}, now=datetime.now(UTC), run=self._request.run)
            for rotation in self._rotations()
        ]

    def work(self) -> Work:
        if self._request.plan:
            rotations, reasons = self._rotations(), self._request.plan.nothing_to_do
        else:
            found = self._found()
            rotations, reasons = list(found.rotations), found.reasons
            refuse_strangers(self._estate, rotations)
        overlapping = [rotation.id for rotation in rotations if rotation.target.overlaps]
        return Work(
            groups={
                "introduce": list(chain.from_iterable(rotation.introduce() for rotation in rotations)),
                "switch": list(chain.from_iterable(rotation.switch() for rotation in rotations)),
                "retire": list(chain.from_iterable(rotation.retire() for rotation in rotations)),
                # As long as no pending path is closed, a new run has the same plan: all close at the end.
                "finish": [
                    *(rotation.probe() for rotation in rotations),
                    *(rotation.close() for rotation in rotations),
                ],
            },
            # A service that counts wrong logins is not asked over and over: its one probe says it all.
            subjects={
                "accepted": overlapping,
                "moved": [rotation.id for rotation in rotations],
                "retired": overlapping,
            },
            # Lists: Airflow's database does not keep the order of a dict's keys, and the steps' order is theirs.
            arguments={
                "rotations": [[each.id, each.change.old.version, each.change.rollback] for each in rotations],
            },
            nothing_to_do=tuple(reasons),
        )

    def reversible(self) -> Sequence[Action]:
        """What each rotation did whose new value has not become the current one. For the others the good way is on:
        they stand first, so that whoever takes back comes to them last and stops there.
        """
        rotations = self._rotations()
        promoted = [rotation for rotation in rotations if rotation.is_promoted()]
        others = [rotation for rotation in rotations if rotation not in promoted]
        if not others:
            return []
        return [
            *(rotation.promote() for rotation in promoted),
            *chain.from_iterable(rotation.reversible() for rotation in others),
        ]

    def standing(self) -> list[Outcome]:
        """K012 and K013 of all that were asked for: is a rotation overdue, or unfinished?"""
        now, run = datetime.now(UTC), self._request.run
        return [outcome for id_ in self._asked() for outcome in standing(self._estate, id_, now=now, run=run)]

    def verify(self) -> list[Outcome]:
        """K010, K011 and K020 of each credential of the plan, K012 and K013 of all that were asked for."""
        outcomes: list[Outcome] = []
        rotations, now, run = self._rotations(), datetime.now(UTC), self._request.run
        left = old_copies(self._estate, rotations)
        for rotation in rotations:
            outcomes.append(accepted(rotation, run=run))
            outcomes.append(checks.moved(rotation.id, moving(rotation, self._estate.cluster), now=now, run=run))
            outcomes.append(checks.nowhere_left(rotation.id, left[rotation.id], now=now, run=run))
        return outcomes + self.standing()

    def _rotations(self) -> list[Rotation]:
        """Those of the plan; before there is one, those that are due."""
        if self._request.plan is None:
            return list(self._found().rotations)
        return again(self._estate, self._request.plan.arguments["rotations"])

    def _found(self) -> Due:
        if self._request.params.get("rollback"):
            return rollbacks(self._estate, list(dict.fromkeys(self._request.params.get("credentials") or [])))
        named = list(dict.fromkeys(self._request.params.get("credentials") or []))
        return due(self._estate, named, now=datetime.now(UTC), force=bool(self._request.params.get("force")))

    def _asked(self) -> list[str]:
        return list(dict.fromkeys(self._request.params.get("credentials") or self._estate.inventory.rotated()))
