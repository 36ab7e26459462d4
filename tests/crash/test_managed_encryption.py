"""K3s' own encryption that is killed before and after each effect of its route, and run again. The shared steps die in
test_encryption.py."""

from __future__ import annotations

from typing import Any

import pytest

from infra_ops.models.outcomes import State
from tests.lab.encryption.conftest import lab as lab
from tests.lab.encryption.conftest import managed as managed
from tests.lab.encryption.managed import Managed
from tests.lab.encryption.stage import bad
from tests.lab.servers_of_k3s import SERVERS
from tests.lab.store.dying import Death, Dying, Killed

OURS = ("enable", "switch", "introduce", "rotate", "encrypt")


def run_dying(managed: Managed, **params: Any) -> list[Death]:  # noqa: F811
    """One wish that dies twice at every effect. What K3s has rotated any run ends, so it is not wished for again."""
    deaths: list[Death] = []
    stage, before = managed.stage, managed.key()
    while True:
        try:
            plan = stage.run(Dying(stage, deaths, OURS), **params)
        except Killed:
            if managed.key() != before:
                params.pop("force", None)
            continue
        outcomes = stage.verify(plan, **params) if plan.steps else stage.operation(**params).standing()
        assert {outcome.state for outcome in outcomes} == {State.PASS}, bad(outcomes)
        return deaths


def assert_ended(managed: Managed) -> None:  # noqa: F811
    found = managed.end_state()
    assert (found["lists"], found["hashes"], found["raw"]) == ({("key", "identity")}, 1, {"aescbc:aescbckey"})
    assert (found["switched"], found["keys"], found["left to do"]) == (set(SERVERS), [], [])
    assert all(found["answers"].values())


@pytest.mark.timeout(3600)
def test_killed_at_every_effect_it_ends_as_an_undisturbed_run(managed: Managed) -> None:  # noqa: F811
    managed.stage.make_secrets(10)
    deaths = run_dying(managed)
    assert_ended(managed)
    print(f"\nenable: {len(deaths)} points, 0 divergences")


@pytest.mark.timeout(3600)
def test_killed_at_every_effect_of_a_rotation(managed: Managed) -> None:  # noqa: F811
    managed.stage.make_secrets(10)
    managed.stage.run()
    first = managed.key()
    deaths = run_dying(managed, force=True)
    assert_ended(managed)
    assert managed.key() != first
    print(f"\nrotate: {len(deaths)} points, 0 divergences")


@pytest.mark.timeout(3600)
def test_killed_at_every_effect_of_taking_it_back(managed: Managed) -> None:  # noqa: F811
    """A run that failed before K3s made a key leaves every server as it was; K3s' empty list stays."""
    stage = managed.stage
    plan = stage.run(groups=("back_up", "introduce"))
    deaths: list[Death] = []
    while True:
        try:
            stage.undo(plan, Dying(stage, deaths))
        except Killed:
            continue
        break
    assert managed.lists() == dict.fromkeys(SERVERS, ())
    assert not any(seen.switched_by for seen in managed.seen().values())
    assert set(stage.raw()) == {"plain"}
    assert all(stage.k3s.answers(server) for server in SERVERS)
    print(f"\nundo: {len(deaths)} points, 0 divergences")
