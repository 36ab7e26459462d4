"""Each guard of a rotation, and what becomes of it when the guard is taken away: a scenario that is good with it and
bad without it. So no guard is there for show, and the walk and the suite can fail.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from infra_ops.clients.effects import Effects
from infra_ops.clients.kv import Kv
from infra_ops.clients.lease import ChangeInProgress, ChangeLease
from infra_ops.models.credentials import Answer, Credential
from infra_ops.models.plans import PlanRefused, Step
from infra_ops.models.problems import Problem
from infra_ops.operations.actions import Action, StepFailed, carry_out
from infra_ops.operations.rotation.rotation import ProofFailed, Rotation
from infra_ops.operations.rotation.targets.grafana import GrafanaTarget
from infra_ops.operations.rotation.targets.swap import NoneAccepted
from infra_ops.operations.rotation.targets.target import Change
from tests.conformance.stage import Stage
from tests.conformance.walk import AFTER, LOST, Killed, killed_at

Patch = pytest.MonkeyPatch


def number_of(stage: Stage, what: str) -> int:
    """The number of the effect that a rotation describes by these words; it takes a rotation to find out."""
    stage.rotate()
    lines = [line for line in stage.journal.lines if what in line]
    return stage.journal.lines.index(lines[0]) + 1


def pending_before_set(stage: Stage) -> bool:
    """Killed right after the service has got the new value: is it known to anybody?"""
    number = number_of(stage, "set the new password")
    with pytest.raises(Killed):
        killed_at(stage, number, AFTER)
    return stage.a_stored_login_works()


def without_pending(patch: Patch) -> None:
    """The new value is in the process's memory until it is promoted."""
    memory: dict[str, Credential] = {}

    def stage_in_memory(self: Rotation) -> Action:
        step = Step(f"{self.id}.stage", "memory", "nothing", self.change.new_version)

        def do(effects: Effects) -> None:
            effects.do(
                step.id, "remember the new value", lambda: memory.update({self.change.rotation_id: self._make()})
            )

        return Action(step, lambda: step.after if self.change.rotation_id in memory else step.before, do)

    patch.setattr(Rotation, "_stage", stage_in_memory)
    patch.setattr(Rotation, "_find_new", lambda self: memory.get(self.change.rotation_id))
    patch.setattr(Rotation, "_note_try", lambda self: None)


def check_and_set(stage: Stage) -> bool:
    """A second run promotes while the first is about to: is there one new version?"""
    first, second = stage.rotation(), stage.rotation()
    carry_out(first.introduce(), stage.effects())

    class Overtaken(Effects):
        def _perform(self, write: Callable[[], Any]) -> Any:
            carry_out(second.switch(), stage.effects())
            return write()

    promotion = next(action for action in first.switch() if action.step.id.endswith(".promote"))
    with contextlib.suppress(Problem):  # it is told
        promotion.do(Overtaken(stage.journal, still_allowed=lambda: None))
    return stage.stored().version == 2


def without_check_and_set(patch: Patch) -> None:
    write = Kv.write

    def blind(self: Kv, path: str, credential: Credential, *, replaces: int) -> int:
        found = self.read(path)
        return write(self, path, credential, replaces=found.version if found else 0)

    patch.setattr(Kv, "write", blind)


def consumer_proof(stage: Stage) -> bool:
    """A consumer does not start again: is it still let in when the run has ended?"""
    stage.stuck = True
    with contextlib.suppress(StepFailed):
        stage.rotate()
    return stage.accepts(stage.running)


def without_consumer_proof(patch: Patch) -> None:
    patch.setattr(Stage, "moved", lambda self, rotation: list)


def one_probe(stage: Stage) -> bool:
    """Killed in its probe twice: does the third try find the service open? Of a service that forgives nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GrafanaTarget, "forgives", False)
        return _third_try_works(stage)


def _third_try_works(stage: Stage) -> bool:
    number = number_of(stage, "try new, old and junk")
    stage.clock.ahead += 86400
    with pytest.raises(Killed):
        killed_at(stage, number, LOST)
    try:
        for _ in range(2):
            (rotation,) = stage.due().rotations
            with pytest.raises(Killed):
                carry_out(rotation.finish(), _dying_after_probe(stage))
        stage.rotate()
    except (StepFailed, ProofFailed, NoneAccepted):
        return False
    return True


def _dying_after_probe(stage: Stage) -> Effects:
    class Dying(Effects):
        def _perform(self, write: Callable[[], Any]) -> Any:
            write()
            if self.count == 2:
                raise Killed
            return None

    return Dying(stage.journal, still_allowed=lambda: None)


def without_one_probe(patch: Patch) -> None:
    patch.setattr(Rotation, "_wait_out_wrong_logins", lambda self: None)


def resume_by_rotation_id(stage: Stage) -> bool:
    """Killed once the new value is stored: does the next run take it up?"""
    with pytest.raises(Killed):
        stage.rotate(_first_effect_only(stage))
    try:
        stage.rotate()
    except PlanRefused:
        return False
    return True


def _first_effect_only(stage: Stage) -> Effects:
    class First(Effects):
        def _perform(self, write: Callable[[], Any]) -> Any:
            write()
            raise Killed

    return First(stage.journal, still_allowed=lambda: None)


def without_rotation_id(patch: Patch) -> None:
    numbers = itertools.count()
    patch.setattr(Change, "rotation_id", property(lambda self: f"{self.credential_id}:{next(numbers)}"))


def old_refused(stage: Stage) -> bool:
    """The service goes on with the old value: does the run say so?"""
    stage.service.restarted = lambda: None  # type: ignore[method-assign]
    old = Credential(stage.service.username, stage.service.old)
    (rotation,) = stage.due().rotations
    try:
        stage.carry_out_up_to_the_proof(rotation)
        stage.service._accepted.append(f"admin:{rotation.change.new().password}")  # type: ignore[attr-defined]
        carry_out(rotation.finish(), stage.effects())
    except ProofFailed:
        return True
    return not stage.accepts(old)


def without_old_refused(patch: Patch) -> None:
    def only_new(self: Rotation) -> str:
        new = self.change.new()
        assert self.target.log_in(new.username, new.password).answer is Answer.ACCEPTED
        return "new accepted"

    patch.setattr(Rotation, "_try_logins", only_new)


def lease(stage: Stage) -> bool:
    """Another run has taken the Lease over: does the first one write on?"""
    with contextlib.suppress(Problem):  # an earlier test made it
        stage.api.create("/api/v1/namespaces", {"metadata": {"name": "infra-ops"}})
    first, second = ChangeLease(stage.api, "dag/first"), ChangeLease(stage.api, "dag/second")
    first.acquire(lambda run: True)
    effects = Effects(stage.journal, first.check)
    carry_out(stage.rotation().introduce(), effects)
    second.acquire(lambda run: True)
    written = len(stage.journal.lines)
    with contextlib.suppress(ChangeInProgress):
        carry_out(stage.rotation().switch(), effects)
    second.release()
    return len(stage.journal.lines) == written


def without_lease(patch: Patch) -> None:
    patch.setattr(ChangeLease, "check", lambda self: None)


GUARDS = {
    "pending before set": ("airflow", pending_before_set, without_pending),
    "check-and-set": ("grafana", check_and_set, without_check_and_set),
    "consumer proof": ("flower", consumer_proof, without_consumer_proof),
    "one probe": ("grafana", one_probe, without_one_probe),
    "resume by rotation_id": ("pihole", resume_by_rotation_id, without_rotation_id),
    "old refused": ("flower", old_refused, without_old_refused),
    "the Lease": ("airflow", lease, without_lease),
}


@pytest.mark.parametrize(
    ("stage", "good"), [(kind, good) for kind, good, _ in GUARDS.values()], ids=GUARDS, indirect=["stage"]
)
def test_with_the_guard_it_is_good(stage: Stage, good: Callable[[Stage], bool]) -> None:
    assert good(stage)


@pytest.mark.parametrize(("stage", "good", "take_away"), GUARDS.values(), ids=GUARDS, indirect=["stage"])
def test_without_the_guard_it_is_bad(
    stage: Stage, good: Callable[[Stage], bool], take_away: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    take_away(monkeypatch)
    assert not good(stage)
