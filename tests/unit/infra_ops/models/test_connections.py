"""Connections as the store keeps them, compared with what Airflow's own backend makes of the same secret."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.hashicorp.secrets.vault import VaultBackend

from infra_ops.models.connections import login_of, text_of, with_login
from infra_ops.models.copies import pattern
from infra_ops.models.credentials import Credential

OLD, NEW = Credential("app", "old/p@ss word"), Credential("app_b", "new:100%/@?#")
QUOTED = "app:old%2Fp%40ss%20word"
SECRETS: dict[str, dict[str, Any]] = {
    "fields": {"conn_type": "postgres", "host": "db", "port": 5432, "login": OLD.username, "password": OLD.password},
    "fields with extra": {"conn_type": "http", "login": OLD.username, "password": OLD.password, "extra": {"a": "b"}},
    "conn_uri": {"conn_uri": f"postgres://{QUOTED}@db:5432/screener?sslmode=require"},
    "uri": {"uri": f"postgres://{QUOTED}@db/screener"},
    "host with a protocol": {"conn_uri": f"http://https://{QUOTED}@nas:5001/path"},
    "both: the URI counts": {"conn_uri": f"redis://{QUOTED}@cache", "conn_type": "redis", "password": "other"},
}


def as_airflow_reads(secret: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    backend = VaultBackend(token="unused", url="http://unused")
    monkeypatch.setattr(backend, "get_response", lambda conn_id: secret)
    found = backend.get_connection("any")
    assert found is not None
    return {
        name: getattr(found, name) for name in ("conn_type", "host", "port", "schema", "extra", "login", "password")
    }


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_the_login_is_the_one_that_airflow_takes_before_and_after_a_change(
    secret: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else of the connection changes."""
    before = as_airflow_reads(secret, monkeypatch)
    assert login_of(secret) == OLD == Credential(before["login"], before["password"])
    changed = with_login(secret, NEW)
    assert login_of(changed) == NEW
    assert as_airflow_reads(changed, monkeypatch) == {**before, "login": NEW.username, "password": NEW.password}


def test_a_uri_without_a_login_gets_one() -> None:
    assert login_of({"conn_uri": "http://db/x"}) == Credential("", "")
    assert login_of(with_login({"conn_uri": "http://db/x@y"}, NEW)) == NEW


def test_what_is_no_uri_holds_no_login_and_stays() -> None:
    assert login_of({"conn_uri": "nonsense"}) == Credential("", "")
    assert with_login({"conn_uri": "nonsense"}, NEW) == {"conn_uri": "nonsense"}


@pytest.mark.parametrize(
    "secret",
    [
        *SECRETS.values(),
        {"extra": {"token": OLD.password}},
        {"conn_uri": "http://app@db/?password=%6Fld%2Fp%40ss%20word"},
    ],
    ids=str,
)
def test_a_value_is_found_wherever_a_connection_holds_it(secret: dict[str, Any]) -> None:
    assert pattern(OLD.password).search(text_of(secret))
