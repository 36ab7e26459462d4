"""A server that does not do what was asked of it: what becomes of it, and whether undo still helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra_ops.clients.ansible import PlaybookFailed
from infra_ops.clients.effects import Effects
from tests.lab.encryption.stage import DROP_IN, FILE, Stage
from tests.lab.servers_of_k3s import SERVERS


class Disturbed(Effects):
    """Something happens right after the effect whose words begin so."""

    def __init__(self, stage: Stage, after: str, happens: Callable[[], None]) -> None:
        super().__init__(stage.journal, still_allowed=lambda: None)
        self._after, self._happens = after, happens

    def do(self, step: str, what: str, write: Callable[[], Any]) -> Any:
        answer = super().do(step, what, write)
        if what.startswith(self._after):
            self._happens()
        return answer


def test_undo_takes_the_part_of_a_server_away_that_does_not_start_with_it(stage: Stage) -> None:
    def lose_the_file() -> None:
        stage.k3s.disk("rpi-2", FILE).unlink()

    effects = Disturbed(stage, "write the list identity, key1 on rpi-2", lose_the_file)
    with pytest.raises(PlaybookFailed, match="K3s does not start on rpi-2"):
        stage.run(effects, groups=("back_up", "introduce"))
    assert not stage.k3s.answers("rpi-2")
    plan = stage.plans[-1]
    assert stage.undo(plan)
    assert stage.lists() == dict.fromkeys(SERVERS, "")
    assert not any(stage.k3s.disk(server, DROP_IN).exists() for server in SERVERS)
    assert all(stage.k3s.answers(server) for server in SERVERS)


def test_a_server_that_does_not_take_its_file_over_is_restarted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = stage.run(groups=("back_up", "introduce"))
    monkeypatch.setattr("infra_ops.operations.encryption.estate.LOAD_SECONDS", 2)
    monkeypatch.setattr("infra_ops.facts.encryption.reloaded", lambda metrics: 0.0)  # as if no server ever told it
    done: list[str] = []
    effects = Disturbed(stage, "restart K3s on", lambda: done.append("restarted"))
    stage.carry_out(plan, "encrypt", effects)
    assert done == ["restarted"] * len(SERVERS)
    assert stage.lists() == dict.fromkeys(SERVERS, "key1, identity")
    done.clear()
    assert stage.undo(plan, effects)
    assert stage.lists() == dict.fromkeys(SERVERS, "")
