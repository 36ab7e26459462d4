"""The repository of fixture.py is migrated for real: Git, OpenBao and Ansible are the real ones."""

from __future__ import annotations

from infra_ops.models.outcomes import State
from tests.lab.repository.stage import Stage


def test_the_whole_repository_is_proposed_and_no_value_is_left(stage: Stage) -> None:
    plan = stage.plan()
    print(plan.text())
    outcomes = stage.apply(plan)
    print(*(outcome.sentence() for outcome in outcomes), sep="\n")
    assert {outcome.id: outcome.state for outcome in outcomes} == dict.fromkeys(
        ["K030", "K032", "K033", "K034"], State.PASS
    )
