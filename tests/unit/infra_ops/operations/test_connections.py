"""A connection of Airflow that holds a rotated login: looked at as tasks see it, written through the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from infra_ops.clients.airflow import AirflowApi
from infra_ops.clients.effects import Effects
from infra_ops.models.credentials import Credential, Stored
from infra_ops.models.plans import PlanRefused
from infra_ops.operations.actions import carry_out
from infra_ops.operations.rotation.connections import sync_connection
from infra_ops.operations.rotation.targets.target import Change
from tests.unit.infra_ops.web import serve

OLD, NEW = Credential("appuser", "old-value"), Credential("appuser_b", "new-value")
CHANGE = Change("id", Stored(1, datetime.now(UTC), OLD), lambda: NEW, tried=lambda: True, note_try=lambda: None)


class Pages:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, step: str, what: str) -> None:
        self.lines.append(f"{step}: {what}")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[Credential]:
    """What a task gets when it asks for the connection; the last one counts."""
    values = [OLD]
    monkeypatch.setattr("infra_ops.operations.rotation.connections.connection", lambda id_: values[-1])
    return values


class Api(AirflowApi):
    """Writes into `held` instead of Airflow."""

    def __init__(self, held: list[Credential]) -> None:
        super().__init__("http://unused", OLD)
        self._held = held

    def set_connection(self, id_: str, credential: Credential) -> None:
        self._held.append(credential)


def test_it_gets_user_and_password_once(held: list[Credential]) -> None:
    pages = Pages()
    action = sync_connection(Api(held), CHANGE, "screener_db")
    for _ in range(2):
        carry_out([action], Effects(pages, lambda: None))
    assert held == [OLD, NEW]
    assert pages.lines == ["id.sync.connection.screener_db: write version 2 into it"]


def test_a_connection_that_somebody_changed_is_refused(held: list[Credential]) -> None:
    held.append(Credential("appuser", "by hand"))
    with pytest.raises(PlanRefused, match="connection screener_db of Airflow is 'holds neither of the two'"):
        carry_out([sync_connection(Api(held), CHANGE, "screener_db")], Effects(Pages(), lambda: None))


def test_connections_are_listed_page_by_page() -> None:
    def page(*ids: str) -> tuple[int, Any]:
        return 200, {"connections": [{"connection_id": id_} for id_ in ids], "total_entries": 3}

    answers = {
        "/auth/token": (201, {"access_token": "token"}),
        "/api/v2/connections?limit=100&offset=0": page("a", "b"),
        "/api/v2/connections?limit=100&offset=2": page("c"),
    }
    with serve(answers) as address:
        assert AirflowApi(address, OLD).connection_ids() == ["a", "b", "c"]
