"""Grafana as every target."""

from __future__ import annotations

import pytest

from infra_ops.operations.actions import carry_out, take_back
from infra_ops.operations.rotation.targets.swap import NoneAccepted
from tests.conformance.stage import Stage
from tests.conformance.suite import TargetConformance


class TestGrafana(TargetConformance):
    kind = "grafana"

    def test_the_wrong_logins_of_others_are_forgotten_before_the_proof(self, stage: Stage) -> None:
        """Of side-cars that went on with the old password until they were restarted."""
        rotation, target = stage.rotation(), stage.estate.target(stage.id)
        stage.carry_out_up_to_the_proof(rotation)
        assert target.budget is not None
        for _ in range(target.budget.wrong - 1):
            target.log_in(stage.service.username, stage.service.old)
        carry_out(rotation.finish(), stage.effects())
        assert stage.end_state() == stage.undisturbed

    def test_a_failed_run_keeps_the_new_value_while_the_user_is_locked(self, stage: Stage) -> None:
        """A lock looks like a wrong password, but the new one may be set, and the store has the only copy of it."""
        rotation, target = stage.rotation(), stage.estate.target(stage.id)
        carry_out([*rotation.introduce(), *target.switch(rotation.change)], stage.effects())
        budget = target.budget
        assert budget is not None
        for _ in range(budget.wrong):
            target.log_in(stage.service.username, "wrong")
        with pytest.raises(NoneAccepted, match="refuses every stored password"):
            take_back(rotation.reversible(), stage.effects())
        stage.clock.ahead += budget.within.total_seconds()
        assert stage.a_stored_login_works()
        stage.rotate()
        assert stage.end_state() == stage.undisturbed
