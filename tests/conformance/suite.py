"""What every target must do, whatever its service. A test file names the target and inherits all of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import quote

import pytest

from infra_ops.models.copies import LAST_APPLIED
from infra_ops.models.credentials import Answer, Credential
from infra_ops.models.outcomes import State
from infra_ops.models.plans import PlanRefused
from infra_ops.models.problems import Problem
from infra_ops.operations.actions import StepFailed, carry_out, refuse_third_states, take_back
from infra_ops.operations.adoption import NotAdopted, adopt
from infra_ops.operations.rotation.due import again
from infra_ops.operations.rotation.progress import accepted
from infra_ops.operations.rotation.rotation import PROBED
from infra_ops.operations.rotation.strangers import old_copies
from infra_ops.operations.rotation.targets.target import CannotRotate
from tests.conformance.stage import Stage

DAY = 86400.0


class TargetConformance:
    """`kind` as in the inventory."""

    kind: str

    def test_new_works_and_old_and_junk_are_refused_by_the_services_own_code(self, stage: Stage) -> None:
        rotation_id, code = stage.rotation().change.rotation_id, stage.service.refusal
        stage.rotate()
        assert stage.end_state() == stage.undisturbed
        probed = stage.kv.notes(f"svc/{stage.id}")[PROBED]
        assert probed.startswith(f"{rotation_id} new accepted")
        assert f"old refused {code}, junk refused {code}, new again accepted" in probed

    def test_nothing_due_is_an_empty_plan_with_a_reason(self, stage: Stage) -> None:
        stage.rotate()
        written = len(stage.journal.lines)
        found = stage.due()
        assert found.rotations == ()
        assert found.reasons[0].startswith(f"{stage.id}: version 2 was set on ")
        stage.rotate()
        assert len(stage.journal.lines) == written

    def test_a_finished_plan_carried_out_again_writes_nothing(self, stage: Stage) -> None:
        stage.rotate()
        written = len(stage.journal.lines)
        (same,) = again(stage.estate, [(stage.id, 1, False)])
        carry_out(same.actions(), stage.effects())
        assert len(stage.journal.lines) == written

    def test_a_plan_is_the_same_before_in_the_middle_and_after(self, stage: Stage) -> None:
        def steps() -> list[Any]:
            return [action.step for action in again(stage.estate, [(stage.id, 1, False)])[0].actions()]

        before = steps()
        rotation = stage.rotation()
        for group in (rotation.introduce, rotation.switch):
            carry_out(group(), stage.effects())
            stage.settle()
            assert steps() == before
            refuse_third_states(stage.rotation().actions())
        stage.rotate()
        assert steps() == before

    def test_until_the_promotion_it_can_be_taken_back(self, stage: Stage) -> None:
        rotation = stage.rotation()
        promotion = next(action for action in rotation.switch() if action.step.id.endswith(".promote"))
        before = rotation.switch()[: [action.step.id for action in rotation.switch()].index(promotion.step.id)]
        carry_out([*rotation.introduce(), *before], stage.effects())
        stage.settle()
        new = rotation.change.new()
        take_back(rotation.reversible(), stage.effects())
        stage.settle()
        assert stage.kv.read(f"rotation/pending/{stage.id}") is None
        assert stage.log_in(new) == f"refused {stage.service.refusal}"
        assert stage.accepts(Credential(stage.service.username, stage.service.old))
        assert stage.accepts(stage.running)
        stage.rotate()
        assert stage.end_state() == stage.undisturbed

    def test_the_previous_value_can_be_put_back_by_the_same_steps(self, stage: Stage) -> None:
        stage.rotate()
        failed = stage.stored().credential
        stage.clock.ahead += DAY
        stage.rotate(rollback=True)
        now = stage.stored()
        assert (now.version, now.credential.password, now.credential.rolled_back) == (3, stage.service.old, True)
        assert stage.accepts(now.credential)
        assert stage.log_in(failed) == f"refused {stage.service.refusal}"
        assert stage.accepts(stage.running)
        assert "an older value that was put back" in stage.due().reasons[0]

    def test_without_a_previous_value_there_is_nothing_to_put_back(self, stage: Stage) -> None:
        with pytest.raises(CannotRotate, match="has no version before 1"):
            stage.rotate(rollback=True)

    def test_the_second_rotation_ends_like_the_first(self, stage: Stage) -> None:
        stage.rotate()
        former = stage.stored().credential
        stage.clock.ahead += DAY
        stage.rotate(force=True)
        assert stage.stored().version == 3
        assert stage.log_in(former) == f"refused {stage.service.refusal}"
        assert stage.accepts(stage.running)

    def test_wrong_logins_stay_within_what_the_service_bears(self, stage: Stage) -> None:
        """Two in all, the one probe's."""
        before = stage.service.wrong_logins()
        stage.rotate()
        budget = stage.estate.target(stage.id).budget
        if before is not None:
            assert (stage.service.wrong_logins() or 0) - before == 2
        assert budget is None or budget.wrong > 2

    def test_a_consumer_that_does_not_move_keeps_the_old_value_alive_where_that_is_possible(self, stage: Stage) -> None:
        stage.stuck = True
        with pytest.raises(StepFailed, match="K011"):
            stage.rotate()
        assert stage.accepts(stage.running) == stage.estate.target(stage.id).overlaps
        assert stage.kv.notes(f"svc/{stage.id}").get(PROBED) is None
        stage.stuck = False
        stage.settle()
        stage.rotate()
        assert stage.end_state() == stage.undisturbed

    def test_a_copy_that_the_inventory_does_not_know_fails_the_plan_and_is_named(self, stage: Stage) -> None:
        """Whatever it is wrapped in."""
        item = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "forgotten"},
            "data": {"settings.json": json.dumps({"url": f"x://admin:{quote(stage.service.old, safe='')}@y"})},
        }
        stage.api.create(f"/api/v1/namespaces/{stage.namespace}/configmaps", item)
        expected = rf"{stage.id} in ConfigMap {stage.namespace}/forgotten, settings\.json"
        with pytest.raises(CannotRotate, match=expected):
            stage.rotate()
        assert stage.journal.lines == []

    def test_what_kubectl_keeps_of_the_last_apply_is_a_copy_and_goes_with_the_rotation(self, stage: Stage) -> None:
        """In the consumer's Secret; in another one it is a stranger."""
        path = f"/api/v1/namespaces/{stage.namespace}/secrets"
        kept = {
            "metadata": {"annotations": {LAST_APPLIED: json.dumps({"stringData": {"password": stage.service.old}})}}
        }
        other = {"apiVersion": "v1", "kind": "Secret", **kept}
        other["metadata"] = {"name": "forgotten", **kept["metadata"]}
        stage.api.create(path, other)
        with pytest.raises(CannotRotate, match=f"Secret {stage.namespace}/forgotten, {LAST_APPLIED}"):
            stage.rotate()
        stage.api.delete(f"{path}/forgotten")
        stage.api.merge(f"{path}/copy", kept)
        rotation = stage.rotation()
        stage.rotate()
        assert old_copies(stage.estate, [rotation]) == {stage.id: []}

    def test_nothing_is_adopted_in_the_middle_of_a_rotation(self, stage: Stage) -> None:
        carry_out(stage.rotation().introduce(), stage.effects())
        with pytest.raises(NotAdopted, match="is unfinished: run rotate_credentials first"):
            adopt(stage.id, Credential(stage.service.username, "by hand"), None, stage.kv)

    def test_a_pending_value_beside_one_that_somebody_stored_is_for_a_person_to_decide(self, stage: Stage) -> None:
        carry_out(stage.rotation().introduce(), stage.effects())
        stage.kv.write(f"svc/{stage.id}", Credential(stage.service.username, "by hand"), replaces=1)
        with pytest.raises(CannotRotate, match="somebody stored version 2 since"):
            stage.rotate()
        assert stage.kv.read(f"rotation/pending/{stage.id}") is not None

    def test_a_service_that_is_away_is_neither_accepted_nor_refused(self, stage: Stage) -> None:
        """Where both values count for a while the sensor K010 stands before the switch. Elsewhere the switch itself
        asks: nothing is written, nothing is taken back, and the pending value stays.
        """
        carry_out(stage.rotation().introduce(), stage.effects())
        stage.settle()
        scheme = stage.service.url.partition(":")[0]
        away = dataclasses.replace(stage, service=stage.service.at(f"{scheme}://127.0.0.1:1"))
        (rotation,) = again(away.estate, [(stage.id, 1, False)])
        junk = rotation.target.log_in(stage.service.username, "junk")
        assert (junk.answer, accepted(rotation, run="test/1").state) == (Answer.UNREACHABLE, State.UNKNOWN)
        if rotation.target.overlaps:
            return
        written = len(stage.journal.lines)
        for attempt in (carry_out, take_back):
            with pytest.raises(Problem):
                attempt(rotation.switch(), away.effects())
        assert stage.kv.read(f"rotation/pending/{stage.id}") is not None
        assert stage.journal.lines[written:] == []

    def test_afterwards_the_old_value_stands_nowhere(self, stage: Stage) -> None:
        rotation = stage.rotation()
        assert old_copies(stage.estate, [rotation])[stage.id] != []
        stage.rotate()
        assert old_copies(stage.estate, [rotation]) == {stage.id: []}

    def test_a_copy_that_somebody_changed_is_refused_before_anything_is_written(self, stage: Stage) -> None:
        path = f"/api/v1/namespaces/{stage.namespace}/secrets/copy"
        stage.api.merge(path, {"stringData": {"password": "changed by hand"}})
        with pytest.raises(PlanRefused, match="is 'holds neither of the two'"):
            refuse_third_states(stage.rotation().actions())
        assert stage.journal.lines == []

    def test_of_two_runs_at_once_one_value_wins(self, stage: Stage) -> None:
        """The Lease keeps them apart; without it, check-and-set lets one value in and the other run takes it over."""
        first, second = stage.rotation(), stage.rotation()
        carry_out(first.introduce(), stage.effects())
        carry_out([*second.introduce(), *second.switch()], stage.effects())
        carry_out(first.switch(), stage.effects())
        assert first.change.new() == second.change.new() == stage.stored().credential

    def test_no_password_is_in_the_journal(self, stage: Stage) -> None:
        stage.rotate()
        text = "\n".join(stage.journal.lines)
        assert len(text) > 100
        assert stage.service.old not in text
        assert stage.stored().credential.password not in text
