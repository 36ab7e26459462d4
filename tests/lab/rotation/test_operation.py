"""The operation as a runbook's tasks call it: each time anew, from whatever an earlier run has left."""

from __future__ import annotations

import pytest

from infra_ops.models.outcomes import State
from infra_ops.operations.actions import carry_out
from infra_ops.operations.operation import Request
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.operation import RotateCredentials
from tests.lab.rotation.stage import Stage


def test_a_run_that_starts_anew_after_any_step_finds_ground_that_holds(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the service refuses the old value already and the rotation is not closed yet."""
    monkeypatch.setattr(Estate, "of", lambda inventory: stage.estate)
    rotation = stage.rotation()
    for action in rotation.actions():
        carry_out([action], stage.effects())
        started = RotateCredentials(Request("rotate_credentials/again", {}, stage.inventory))
        assert [outcome.sentence() for outcome in started.preflight() if outcome.state is not State.PASS] == []
