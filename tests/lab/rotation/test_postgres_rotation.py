"""postgres_appuser's kind of rotation on a real PostgreSQL, a real OpenBao and the cluster's API."""

from __future__ import annotations

import asyncio
import json
import time
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
from tests.lab.rotation.stage import OLD_PASSWORD, Stage, deployment

EFFECTS = 11  # of a first rotation with one consumer that one workload reads
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
    rotation_id = stage.rotation().change.rotation_id
    stage.rotate()
    assert stage.end_state() == UNDISTURBED
    assert stage.kv.notes(f"svc/{stage.name}")[PROBED] == (
        f"{rotation_id} new accepted, old refused 28P01, junk refused 28P01, new again accepted"
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
    (same,) = again(stage.estate, [(stage.name, 1, False)])
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


@pytest.mark.parametrize(
    ("container", "where"),
    [
        ({"env": [{"name": "PGUSER", "value": "{user}"}]}, "its variable PGUSER"),
        ({"env": [{"name": "DSN", "value": "postgresql://{user}:$(URL)@db/x"}]}, "its variable DSN"),
        ({"args": ["--user={user}"]}, "the command of its container fixed"),
        ({"command": ["psql", "-U", "{user}"]}, "the command of its container fixed"),
    ],
    ids=["variable", "part of a variable", "argument", "two words of a command"],
)
def test_a_consumer_with_a_fixed_user_name_fails_the_plan(stage: Stage, container: Any, where: str) -> None:
    container = json.loads(json.dumps(container).replace("{user}", stage.name))
    path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments"
    stage.api.create(path, deployment("fixed", "database", **container))
    with pytest.raises(CannotRotate, match=rf"Deployment .*/fixed fixes the user name '{stage.name}' in {where}\."):
        stage.due()


def test_a_longer_name_and_a_database_of_that_name_are_no_fixed_user_name(stage: Stage) -> None:
    path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments"
    env = [
        {"name": "PGUSER", "value": f"{stage.name}_c"},
        {"name": "PGDATABASE", "value": stage.name},
        {"name": "URL", "value": f"postgresql://db/{stage.name}"},
    ]
    stage.api.create(path, deployment("other", "database", env=env))
    assert stage.due().rotations


def test_a_copy_that_nobody_reads_fails_the_plan(stage: Stage) -> None:
    """Its reader could not be proved to have moved."""
    stage.api.delete(f"/apis/apps/v1/namespaces/{stage.namespace}/deployments/reader")
    with pytest.raises(CannotRotate, match=r"Nobody is found who reads Secret .*/database\. .*restart: false"):
        stage.due()


def test_what_the_login_was_granted_and_how_it_was_set_up_stays(stage: Stage) -> None:
    """Rights that are no ownership, roles that it is a member of, and its settings."""
    name, database = stage.name, stage.name
    stage.server.execute(["create schema shared", "create table shared.theirs (id int)"], database=database)
    stage.server.execute(
        [
            f"grant usage on schema shared to {name}",
            f"grant select on shared.theirs to {name}",
            f"create role {name}_group",
            f"grant {name}_group to {name}",
            f"alter role {name} set search_path to shared, public",
            f"alter role {name} in database {name} set statement_timeout to '7s'",
            f"alter role {name} connection limit 42",
        ],
        database=database,
    )
    stage.rotate()
    current = stage.kv.read(f"svc/{name}")
    assert current is not None
    as_new = Server("127.0.0.1", stage.port, current.credential)
    asked = (
        "select (select count(*) from theirs) as rows, current_setting('statement_timeout') as timeout, "
        f"pg_has_role('{name}_group', 'member') as grouped, "
        "(select rolconnlimit from pg_roles where rolname = session_user) as connections"
    )
    assert as_new.query(asked, database=database) == [{"rows": 0, "timeout": "7s", "grouped": True, "connections": 42}]


def test_a_schema_that_is_found_by_its_users_name_fails_the_plan_until_it_is_named(stage: Stage) -> None:
    stage.server.execute([f"create schema {stage.name}"], database=stage.name)
    with pytest.raises(CannotRotate, match=rf"The schema {stage.name} in database {stage.name} .* alter database"):
        stage.due()
    stage.server.execute([f"alter database {stage.name} set search_path to {stage.name}, public"])
    assert stage.due().rotations


def test_a_session_from_before_the_first_rotation_is_one_of_the_old_login(stage: Stage) -> None:
    rotation = stage.rotation()
    own = Server("127.0.0.1", stage.port, Credential(stage.name, OLD_PASSWORD))
    seen = []

    def work(connection: Any) -> Any:
        async def hold() -> None:
            await asyncio.to_thread(carry_out, rotation.introduce(), stage.effects())
            await connection.execute("create table meanwhile (id int)")
            seen.extend(await asyncio.to_thread(rotation.target.old_sessions, rotation.change))

        return hold()

    own._run(work, stage.name)
    assert len(seen) == 1
    rows = stage.server.query(
        "select tableowner::text from pg_tables where tablename = 'meanwhile'", database=stage.name
    )
    assert rows == [{"tableowner": f"{stage.name}_owner"}]


def test_a_store_that_begins_anew_does_not_take_old_restarts_for_its_own(stage: Stage) -> None:
    stage.rotate()
    stage.kv.delete(f"svc/{stage.name}")
    stage.server.execute([f"alter role {stage.name} login password '{OLD_PASSWORD}'"])
    stage.api.merge(
        f"/api/v1/namespaces/{stage.namespace}/secrets/database",
        {
            "stringData": {
                "URL": f"postgresql://{stage.name}:Walnut%26Pepper%211234@127.0.0.1:{stage.port}/{stage.name}"
            }
        },
    )
    time.sleep(1)  # seconds tell the two stores apart
    adopt(stage.name, Credential(stage.name, OLD_PASSWORD), stage.target.log_in, stage.kv)
    written = len(stage.journal.lines)
    stage.rotate()
    assert [line for line in stage.journal.lines[written:] if ".restart.moved." in line]


def test_an_administrator_who_cannot_log_in_is_not_adopted(stage: Stage) -> None:
    stage.kv.delete(f"svc/{stage.name}_admin")
    with pytest.raises(NotAdopted, match="does not accept this login"):
        adopt(f"{stage.name}_admin", Credential("postgres", "typo"), stage.admin_login, stage.kv)


def test_a_stored_value_that_is_refused_by_now_can_be_adopted_anew(stage: Stage) -> None:
    stage.server.execute([f"alter role {stage.name} password 'by-hand-1234'"])
    assert adopt(stage.name, Credential(stage.name, "by-hand-1234"), stage.target.log_in, stage.kv) == 2


def test_an_unknown_credential_and_one_never_adopted_are_told_apart(stage: Stage) -> None:
    with pytest.raises(CannotRotate, match=f"'nonsense' is no credential that rotates; there are: {stage.name}"):
        due(stage.estate, ["nonsense"], now=datetime.now(UTC))
    stage.kv.delete(f"svc/{stage.name}")
    with pytest.raises(CannotRotate, match=f"{stage.name} was never adopted"):
        stage.due()


def test_adopting_needs_a_value_that_logs_in_and_never_overwrites(stage: Stage) -> None:
    stage.kv.delete(f"svc/{stage.name}")
    with pytest.raises(NotAdopted, match="does not accept this login"):
        adopt(stage.name, Credential(stage.name, "wrong"), stage.target.log_in, stage.kv)
    right = Credential(stage.name, OLD_PASSWORD)
    assert adopt(stage.name, right, stage.target.log_in, stage.kv) == 1
    assert adopt(stage.name, right, stage.target.log_in, stage.kv) == 1
    with pytest.raises(NotAdopted, match="managed already"):
        adopt(stage.name, Credential("postgres", stage.admin), stage.target.log_in, stage.kv)
    stage.rotate()
    with pytest.raises(NotAdopted, match="does not accept this login"):
        adopt(stage.name, right, stage.target.log_in, stage.kv)


def test_a_dead_server_is_no_refusal(stage: Stage) -> None:
    login = log_in("127.0.0.1", 1, "postgres", "postgres", "x")
    assert login.answer is Answer.UNREACHABLE


def test_a_stolen_start_ends_in_one_value(stage: Stage) -> None:
    """Two runs that begin at once: check-and-set lets one value in, and the other run takes it over."""
    first, second = stage.rotation(), stage.rotation()
    carry_out(first.introduce()[:3], stage.effects())
    carry_out(second.introduce(), stage.effects())
    assert first.change.new() == second.change.new()
