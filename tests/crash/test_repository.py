"""A repository whose migration is killed at each effect, and run again."""

from __future__ import annotations

import pytest

from infra_ops.models.outcomes import State
from tests.lab.repository.conftest import lab as lab
from tests.lab.repository.conftest import stage as stage
from tests.lab.repository.fixture import SMALL
from tests.lab.repository.stage import BRANCH, Stage
from tests.lab.store.dying import Death, Dying, Killed


@pytest.mark.parametrize("tree", [SMALL], ids=["small"])
@pytest.mark.timeout(1800)  # Ansible starts some sixty times
def test_killed_at_each_effect_and_run_again_it_proposes_the_same(stage: Stage) -> None:  # noqa: F811
    deaths: list[Death] = []
    while True:
        try:
            plan = stage.plan()
            stage.apply(plan, Dying(stage, deaths))
        except Killed:
            continue
        break
    first = stage.branch()
    assert len(deaths) >= 12
    stage.git("push", "-q", "origin", f":{BRANCH}")
    assert {outcome.state for outcome in stage.apply(stage.plan())} == {State.PASS}
    assert stage.branch() == first
    print(f"\n{len(deaths)} points, 0 divergences")
