"""Killed at any effect and run again, a rotation of every target ends as one that nobody disturbed."""

from __future__ import annotations

import time

import pytest

from tests.conformance.conftest import KINDS
from tests.conformance.stage import Stage
from tests.conformance.walk import MOMENTS, Killed, effects_of, killed_at


@pytest.mark.parametrize("stage", KINDS, indirect=True)
def test_killed_at_any_effect_and_run_again_it_ends_the_same(stage: Stage) -> None:
    """All points of one target in one test: each rotation starts from where the last one ended."""
    began, points = time.monotonic(), 0
    effects = effects_of(stage)
    undisturbed = stage.relative_end_state()
    diverged = []
    for number in range(1, effects + 1):
        for moment in MOMENTS:
            before = stage.stored()
            stage.clock.ahead += 86400
            with pytest.raises(Killed):
                killed_at(stage, number, moment)
            assert stage.a_stored_login_works(), (number, moment)
            stage.rotate(force=stage.stored().version == before.version)
            points += 1
            if (end := stage.relative_end_state()) != undisturbed:
                diverged.append((number, moment, end))
    print(
        f"{stage.service.target['kind']}: {points} points, {time.monotonic() - began:.0f} s, {len(diverged)} diverged"
    )
    assert diverged == []
