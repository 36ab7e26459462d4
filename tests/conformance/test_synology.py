"""Synology as every target."""

from __future__ import annotations

import pytest

from infra_ops.operations.actions import StepFailed, carry_out
from infra_ops.operations.rotation.rotation import PROBED
from tests.conformance.stage import Stage
from tests.conformance.suite import TargetConformance


class TestSynology(TargetConformance):
    kind = "synology"

    def test_the_policy_of_the_service_is_respected(self, stage: Stage) -> None:
        """40 characters, one of them special."""
        stage.rotate()
        password = stage.stored().credential.password
        assert len(password) == 40
        assert not password.isalnum()

    def test_a_lock_out_proves_nothing(self, stage: Stage) -> None:
        """Somebody else was wrong so often that the proof's own wrong logins are too many."""
        rotation, target = stage.rotation(), stage.estate.target(stage.id)
        stage.carry_out_up_to_the_proof(rotation)
        assert target.budget is not None
        for _ in range(target.budget.wrong - 2):
            target.log_in(stage.service.username, "somebody else's")
        with pytest.raises(StepFailed, match="did not answer a login: new again unreachable 407"):
            carry_out(rotation.finish(), stage.effects())
        assert PROBED not in stage.kv.notes(f"svc/{stage.id}")
