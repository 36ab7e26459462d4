"""From plain to encrypted to rotated and back, on three servers."""

from __future__ import annotations

from infra_ops.models.outcomes import State
from tests.lab.encryption.stage import Stage, bad
from tests.lab.servers_of_k3s import SERVERS


def test_from_plain_to_encrypted_to_rotated_and_back(stage: Stage) -> None:
    stage.make_secrets(30)
    plan = stage.run()
    assert set(stage.raw()) == {"secretbox:key1"}
    assert stage.lists() == dict.fromkeys(SERVERS, "key1, identity")
    assert {outcome.state for outcome in stage.verify(plan)} == {State.PASS}, bad(stage.verify(plan))
    assert stage.plan().steps == ()

    plan = stage.run(force=True)
    assert set(stage.raw()) == {"secretbox:key2"}
    assert stage.lists() == dict.fromkeys(SERVERS, "key2, identity")
    assert {outcome.state for outcome in stage.verify(plan)} == {State.PASS}, bad(stage.verify(plan))
    assert stage.plan().steps == ()

    plan = stage.run(disable=True)
    assert set(stage.raw()) == {"plain"}
    assert stage.lists() == dict.fromkeys(SERVERS, "")
    assert {outcome.state for outcome in stage.verify(plan, disable=True)} == {State.PASS}
    assert stage.plan(disable=True).steps == ()
