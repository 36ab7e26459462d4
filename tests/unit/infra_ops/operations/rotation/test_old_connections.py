"""Connections of Airflow that hold the old value: only those that the inventory names may."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra_ops.models.connections import store_path
from infra_ops.models.credentials import Credential, Stored
from infra_ops.models.inventory import CredentialSpec
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.strangers import old_copies, refuse_strangers
from infra_ops.operations.rotation.targets.target import CannotRotate
from tests.unit.infra_ops.connections import Database, Store

OLD: dict[str, Any] = {"conn_type": "postgres", "login": "app", "password": "old value"}
PLACES = ["connection of Airflow listed", "store path airflow/connections/listed"]


def rotation() -> Rotation:
    change = SimpleNamespace(old=Stored(1, datetime.now(UTC), Credential("app", "old value")))
    target = SimpleNamespace(own_places=list)
    spec = CredentialSpec(title="A login", connections=["listed"])
    return cast(Rotation, SimpleNamespace(id="app", change=change, target=target, spec=spec))


def estate(monkeypatch: pytest.MonkeyPatch, *ids: str) -> Estate:
    """Both places hold the old value under each id; nothing in the cluster does."""
    cluster = SimpleNamespace(list=lambda path: [])
    database = Database(monkeypatch, dict.fromkeys(ids, OLD))
    store = Store({store_path(id_): [OLD] for id_ in ids})
    return cast(
        Estate, SimpleNamespace(cluster=cluster, airflow=database, kv=store.kv, inventory=SimpleNamespace(rotated=dict))
    )


def test_one_that_is_named_is_looked_for_and_accepted_in_both_places(monkeypatch: pytest.MonkeyPatch) -> None:
    found = estate(monkeypatch, "listed")
    refuse_strangers(found, [rotation()])
    assert [str(place) for place in old_copies(found, [rotation()])["app"]] == PLACES


def test_one_that_is_not_named_is_refused_with_both_places(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotRotate) as told:
        refuse_strangers(estate(monkeypatch, "listed", "forgotten"), [rotation()])
    both = "app in connection of Airflow forgotten; app in store path airflow/connections/forgotten. List each place"
    assert both in str(told.value)
