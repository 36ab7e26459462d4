"""A connection of Airflow that holds a rotated login: looked at and written in database and store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from infra_ops.clients.airflow import AirflowApi
from infra_ops.clients.effects import Effects
from infra_ops.models.credentials import Credential, Stored
from infra_ops.models.plans import PlanRefused
from infra_ops.operations.actions import carry_out, refuse_third_states
from infra_ops.operations.rotation.connections import sync_connection
from infra_ops.operations.rotation.targets.target import Change
from tests.unit.infra_ops.connections import Database, Store
from tests.unit.infra_ops.web import serve

OLD, NEW = Credential("appuser", "old-value"), Credential("appuser_b", "new-value")
CHANGE = Change("id", Stored(1, datetime.now(UTC), OLD), lambda: NEW, tried=lambda: True, note_try=lambda: None)


class Pages:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, step: str, what: str) -> None:
        self.lines.append(f"{step}: {what}")


def row(credential: Credential) -> dict[str, Any]:
    return {"conn_type": "postgres", "host": "db", "login": credential.username, "password": credential.password}


def uri(credential: Credential) -> dict[str, Any]:
    return {"conn_uri": f"postgres://{credential.username}:{credential.password}@db/screener"}


def journal_of(database: Database | None, store: Store, times: int = 1) -> list[str]:
    pages = Pages()
    action = sync_connection(database, store.kv, CHANGE, "screener_db")
    for _ in range(times):
        carry_out([action], Effects(pages, lambda: None))
    return pages.lines


IN_STORE = "id.sync.connection.screener_db: write version 2 into store path airflow/connections/screener_db"
IN_DATABASE = "id.sync.connection.screener_db: write version 2 into Airflow's database"
PATH = "airflow/connections/screener_db"


def test_one_in_the_database_gets_user_and_password_once(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(monkeypatch, {"screener_db": row(OLD)})
    assert journal_of(database, Store(), times=2) == [IN_DATABASE]
    assert database.rows == {"screener_db": row(NEW)}


@pytest.mark.parametrize("form", [row, uri])
def test_one_in_the_store_gets_user_and_password_once(
    form: Callable[[Credential], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store({PATH: [form(OLD)]})
    assert journal_of(Database(monkeypatch, {}), store, times=2) == [IN_STORE]
    assert store.secrets == {PATH: [form(OLD), form(NEW)]}


def test_one_that_the_store_hides_gets_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    database, store = Database(monkeypatch, {"screener_db": row(OLD)}), Store({PATH: [row(OLD)]})
    assert journal_of(database, store) == [IN_STORE, IN_DATABASE]
    assert (database.rows, store.secrets[PATH][-1]) == ({"screener_db": row(NEW)}, row(NEW))


def test_what_an_interrupted_run_left_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    database, store = Database(monkeypatch, {"screener_db": row(OLD)}), Store({PATH: [row(NEW)]})
    assert journal_of(database, store) == [IN_DATABASE]


def test_somebody_who_was_faster_in_the_store_is_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = row(Credential("appuser", "by hand"))

    class Racing(Store):
        def write_fields(self, path: str, values: dict[str, Any], *, replaces: int) -> int:
            self.secrets[path].append(by_hand)
            return super().write_fields(path, values, replaces=replaces)

    store = Racing({PATH: [row(OLD)]})
    with pytest.raises(PlanRefused, match="is 'holds neither of the two'"):
        journal_of(Database(monkeypatch, {}), store)
    assert store.secrets[PATH] == [row(OLD), by_hand]


@pytest.mark.parametrize("where", ["database", "store"])
def test_a_connection_that_somebody_changed_is_refused(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the other copy is as it should be."""
    rows = {name: row(OLD) for name in ("database", "store")} | {where: row(Credential("appuser", "by hand"))}
    database, store = Database(monkeypatch, {"screener_db": rows["database"]}), Store({PATH: [rows["store"]]})
    with pytest.raises(PlanRefused, match="connection screener_db of Airflow is 'holds neither of the two'"):
        journal_of(database, store)


def test_a_connection_that_does_not_exist_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(PlanRefused, match="is 'neither in the store nor in Airflow's database'"):
        refuse_third_states([sync_connection(Database(monkeypatch, {}), Store().kv, CHANGE, "screener_db")])


@pytest.mark.parametrize(("status", "held"), [(200, True), (404, False)])
def test_the_api_is_asked_whether_the_database_holds_it(status: int, held: bool) -> None:
    """What a task gets may come from elsewhere, and then it could not be changed there."""
    answers = {"/auth/token": (201, {"access_token": "token"}), "/api/v2/connections/a.b": (status, {})}
    with serve(answers) as address:
        assert AirflowApi(address, OLD).has_connection("a.b") is held


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
