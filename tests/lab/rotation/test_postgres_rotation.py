"""postgres_appuser's kind of rotation on a real PostgreSQL, a real OpenBao and the cluster's API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from infra_ops.clients.effects import Effects
from infra_ops.clients.postgres import Server, log_in
from infra_ops.models.credentials import Answer, Credential
from infra_ops.models.plans import PlanRefused
from infra_ops.operations.actions import StepFailed, carry_out, refuse_third_states, take_back
from infra_ops.operations.adoption import NotAdopted, adopt
from infra_ops.operations.rotation.due import again, due
from infra_ops.operations.rotation.rotation import PROBED
from infra_ops.operations.rotation.targets.target import CannotRotate
from tests.lab.rotation.stage import OLD_PASSWORD, Stage

EFFECTS = 11  # of a first rotation with one database and one consumer
UNDISTURBED = {
    "version": 2,
    "rotation": "X:2",
    "user": "X_b",
    "pending": None,
    "new": Answer.ACCEPTED,
    "old": "28P01",
    "consumer": True,
    "owners": "X_owner",
}


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


class Deadly(Effects):
    """Kills the run at effect number `at`: just before it, or when it is done and nobody has heard of it."""

    at = 0
    done = False

    def _perform(self, write: Callable[[], Any]) -> Any:
        if self.count != self.at:
            return write()
        if self.done:
            write()
        raise Killed


def test_a_rotation_ends_with_the_other_user_and_the_old_one_refused(stage: Stage) -> None:
    stage.rotate()
    assert stage.end_state() == UNDISTURBED
    assert stage.kv.notes(f"svc/{stage.name}")[PROBED] == (
        f"{stage.name}:2 new accepted, old refused 28P01, junk refused 28P01"
    )


def test_a_second_run_writes_nothing_and_says_why(stage: Stage) -> None:
    stage.rotate()
    again = stage.due()
    assert again.rotations == ()
    assert again.reasons[0].startswith(f"{stage.name}: version 2 was set on ")


def test_the_next_rotation_goes_back_to_the_first_user(stage: Stage) -> None:
    stage.rotate()
    stage.rotate(force=True)
    end = stage.end_state()
    assert (end["version"], end["rotation"], end["user"], end["consumer"]) == (3, "X:3", "X", True)
    former = stage.kv.read(f"svc/{stage.name}", 2)
    assert former is not None
    assert stage.target.log_in(former.credential.username, former.credential.password).code == "28P01"


def test_whatever_either_user_makes_belongs_to_their_owner(stage: Stage) -> None:
    stage.rotate()
    current = stage.kv.read(f"svc/{stage.name}")
    assert current is not None
    as_new = Server("127.0.0.1", stage.port, current.credential)
    as_new.execute(["create table later (id int)", "alter table mine add column more int"], database=stage.name)
    rows = as_new.query("select tableowner::text from pg_tables where tablename = 'later'", database=stage.name)
    assert rows == [{"tableowner": f"{stage.name}_owner"}]


@pytest.mark.parametrize("done", [False, True], ids=["before", "reply_lost"])
@pytest.mark.parametrize("at", range(1, EFFECTS + 1))
def test_killed_at_any_effect_and_run_again_it_ends_the_same(stage: Stage, at: int, done: bool) -> None:
    effects = Deadly(stage.journal, still_allowed=lambda: None)
    effects.at, effects.done = at, done
    with pytest.raises(Killed):
        stage.rotate(effects)
    assert stage.a_stored_login_works()
    stage.rotate()
    assert stage.end_state() == UNDISTURBED


def test_the_walk_over_crashes_leaves_no_effect_out(stage: Stage) -> None:
    effects = stage.effects()
    stage.rotate(effects)
    assert effects.count == EFFECTS


def test_a_finished_rotation_run_again_by_its_own_plan_writes_nothing(stage: Stage) -> None:
    """What a cleared task does: the same steps, all of them done."""
    rotation = stage.rotation()
    carry_out(rotation.actions(), stage.effects())
    written = len(stage.journal.lines)
    (same,) = again(stage.inventory, {stage.name: 1}, stage.kv, stage.api)
    carry_out(same.actions(), stage.effects())
    assert len(stage.journal.lines) == written


def test_a_plan_is_the_same_before_during_and_after_a_crash(stage: Stage) -> None:
    steps = [action.step for action in stage.rotation().actions()]
    carry_out(stage.rotation().introduce(), stage.effects())
    assert [action.step for action in stage.rotation().actions()] == steps
    refuse_third_states(stage.rotation().actions())


def test_a_failing_run_takes_back_what_it_did(stage: Stage) -> None:
    rotation = stage.rotation()
    carry_out(rotation.introduce(), stage.effects())
    new = rotation.change.new()
    take_back(rotation.reversible(), stage.effects())
    assert stage.kv.read(f"rotation/pending/{stage.name}") is None
    assert stage.target.log_in(new.username, new.password).code == "28P01"
    assert stage.target.log_in(stage.name, OLD_PASSWORD).answer is Answer.ACCEPTED
    stage.rotate()
    assert stage.end_state() == UNDISTURBED


def test_the_old_login_is_not_retired_while_somebody_uses_it(stage: Stage) -> None:
    rotation = stage.rotation()
    carry_out([*rotation.introduce(), *rotation.switch()], stage.effects())
    own = Server("127.0.0.1", stage.port, Credential(stage.name, OLD_PASSWORD))

    def work(connection: Any) -> Any:
        async def hold() -> None:
            with pytest.raises(StepFailed, match="still has sessions"):
                await asyncio.to_thread(carry_out, rotation.retire(), stage.effects())

        return hold()

    own._run(work, stage.name)
    carry_out(rotation.retire(), stage.effects())


def test_a_copy_that_somebody_else_changed_is_refused_before_anything_is_written(stage: Stage) -> None:
    stage.api.merge(f"/api/v1/namespaces/{stage.namespace}/secrets/database", {"stringData": {"URL": "postgresql://x"}})
    with pytest.raises(PlanRefused, match="is 'holds neither of the two'"):
        refuse_third_states(stage.rotation().actions())
    assert stage.journal.lines == []


def test_a_password_set_by_hand_meanwhile_is_not_retired(stage: Stage) -> None:
    rotation = stage.rotation()
    carry_out([*rotation.introduce(), *rotation.switch()], stage.effects())
    stage.server.execute([f"alter role {stage.name} password 'by hand'"])
    with pytest.raises(PlanRefused, match="a password that nobody stored"):
        carry_out(rotation.retire(), stage.effects())


def test_a_consumer_with_a_fixed_user_name_fails_the_plan(stage: Stage) -> None:
    labels = {"app": "fixed"}
    env = [
        {"name": "PGUSER", "value": stage.name},
        {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "database", "key": "URL"}}},
    ]
    container = {"name": "fixed", "image": "rancher/mirrored-pause:3.6", "env": env}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    stage.api.create(
        f"/apis/apps/v1/namespaces/{stage.namespace}/deployments",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "fixed"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
    )
    with pytest.raises(CannotRotate, match=r"Deployment .*/fixed fixes the user name .* in its variable PGUSER"):
        stage.due()


def test_an_unknown_credential_and_one_never_adopted_are_told_apart(stage: Stage) -> None:
    with pytest.raises(CannotRotate, match=f"'nonsense' is no credential that rotates; there are: {stage.name}"):
        due(stage.inventory, ["nonsense"], stage.kv, stage.api, now=datetime.now(UTC))
    stage.kv.delete(f"svc/{stage.name}")
    with pytest.raises(CannotRotate, match=f"{stage.name} was never adopted"):
        stage.due()


def test_adopting_needs_a_value_that_logs_in_and_never_overwrites(stage: Stage) -> None:
    stage.kv.delete(f"svc/{stage.name}")
    with pytest.raises(NotAdopted, match="does not accept this login"):
        adopt(stage.name, Credential(stage.name, "wrong"), stage.target, stage.kv)
    right = Credential(stage.name, OLD_PASSWORD)
    assert adopt(stage.name, right, stage.target, stage.kv) == 1
    assert adopt(stage.name, right, stage.target, stage.kv) == 1
    stage.rotate()
    with pytest.raises(NotAdopted, match="managed already"):
        adopt(stage.name, right, stage.target, stage.kv)


def test_a_dead_server_is_no_refusal(stage: Stage) -> None:
    login = log_in("127.0.0.1", 1, "postgres", "postgres", "x")
    assert login.answer is Answer.UNREACHABLE


def test_a_stolen_start_ends_in_one_value(stage: Stage) -> None:
    """Two runs that begin at once: check-and-set lets one value in, and the other run takes it over."""
    first, second = stage.rotation(), stage.rotation()
    carry_out(first.introduce()[:3], stage.effects())
    carry_out(second.introduce(), stage.effects())
    assert first.change.new() == second.change.new()
