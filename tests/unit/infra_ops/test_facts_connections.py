"""An old value is found in every connection of Airflow, wherever that is kept."""

from __future__ import annotations

from typing import Any

import pytest

from infra_ops.clients.airflow import Unreadable
from infra_ops.facts.connections import connections
from infra_ops.models.copies import pattern
from tests.unit.infra_ops.connections import Database, Store

OLD = "old/p@ssword"


def row(password: str = "other", **fields: Any) -> dict[str, Any]:
    return {"conn_type": "postgres", "login": "app", "password": password, **fields}


def places(database: Database | None, store: Store) -> list[str]:
    return [str(place) for place, content in connections(database, store.kv) if pattern(OLD).search(content)]


def test_the_store_is_searched_in_all_of_its_folders() -> None:
    folder = "airflow/connections"
    store = Store(
        {
            f"{folder}/by_field": [row(OLD)],
            f"{folder}/by_uri": [{"conn_uri": "postgres://app:old%2fp%40ssword@db"}],
            f"{folder}/in_extra": [row(extra={"token": OLD})],
            f"{folder}/team/deeper": [row(OLD)],
            f"{folder}/other": [row()],
            f"{folder}/moved": [row(OLD), row()],
            f"{folder}/deleted": [row(OLD), None],
            "svc/app": [row(OLD)],
        }
    )
    found = [f"store path {folder}/{name}" for name in ("by_field", "by_uri", "in_extra", "team/deeper")]
    assert places(None, store) == found


def test_one_in_the_database_is_searched_although_the_worker_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a secrets backend, and the environment is one. BaseHook would get what hides it."""
    monkeypatch.setenv("AIRFLOW_CONN_HIDDEN", "postgres://app:other@db")
    database = Database(monkeypatch, {"hidden": row(OLD), "in_extra": row(extra=f'{{"token": "{OLD}"}}'), "x": row()})
    store = Store({"airflow/connections/hidden": [row()]})
    assert places(database, store) == ["connection of Airflow hidden", "connection of Airflow in_extra"]


@pytest.mark.parametrize(("kind", "reason"), [("deleted", "CONNECTION_NOT_FOUND"), ("unreadable", "API_SERVER_ERROR")])
def test_one_that_cannot_be_read_is_named(kind: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(monkeypatch, {})
    getattr(database, kind).add("lost")
    with pytest.raises(
        Unreadable, match=rf"^Connection lost of Airflow's database cannot be read \({reason}\)"
    ) as told:
        places(database, Store())
    assert "a secret" not in str(told.value)
    assert told.value.__context__ is None
