"""The store's deployment, killed twice at every effect and started again, ends as one that nobody disturbed."""

from __future__ import annotations

import pytest

from tests.lab.conftest import cluster  # noqa: F401
from tests.lab.store.conftest import stage  # noqa: F401
from tests.lab.store.dying import deploy_dying, end_state
from tests.lab.store.stage import Stage


@pytest.mark.timeout(1500)
def test_killed_before_and_after_each_effect_and_run_again_it_ends_the_same(stage: Stage) -> None:  # noqa: F811
    stage.as_account("platform")
    stage.deploy()
    effects, wanted = set(stage.journal.lines), end_state(stage)
    stage.as_administrator()
    stage.remove()
    stage.as_account("platform")
    deaths = deploy_dying(stage)
    assert {f"{step}: {what}" for step, what, _ in deaths} == effects
    assert len(deaths) == 2 * len(effects)
    assert end_state(stage) == wanted
    print(f"{len(effects)} effects, {len(deaths)} deaths")
