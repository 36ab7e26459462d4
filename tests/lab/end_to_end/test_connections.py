"""Connections of Airflow in the store: the lab's workers ask it for none, but a rotation takes care of them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from infra_ops.models.connections import FOLDER, login_of, store_path
from infra_ops.models.credentials import Credential
from tests.lab.end_to_end.airflow import DAG, Airflow
from tests.lab.end_to_end.conftest import Lab, Rotated
from tests.lab.end_to_end.managed import Managed

ID = "postgres_appuser"
LISTED = "screener_db"  # also in Airflow's database, where a worker with the store as its backend would not see it
FORGOTTEN = "forgotten"


@pytest.fixture
def kept(rotated: Rotated, credentials: Managed) -> Iterator[Credential]:
    """The current login, which both connections hold in the store."""
    current = credentials.stored(ID).credential
    fields = {"conn_type": "postgres", "host": "db", "login": current.username, "password": current.password}
    uri = {"conn_uri": f"postgres://{current.username}:{current.password}@db/screener"}
    for id_, secret in {FORGOTTEN: fields, LISTED: uri}.items():
        credentials.kv.write_fields(store_path(id_), secret, replaces=0)
    yield current
    for id_ in (FORGOTTEN, LISTED):
        credentials.kv.delete(store_path(id_))


def test_one_that_the_inventory_does_not_know_is_named_and_one_that_it_knows_is_rotated(
    lab: Lab, kept: Credential, credentials: Managed, airflow: Airflow
) -> None:
    conf = {"mode": "plan", "credentials": [ID], "force": True}
    refused = lab("run", DAG, "--conf", json.dumps(conf))
    assert refused.returncode == 1
    assert f"{ID} in store path {FOLDER}/{FORGOTTEN}." in refused.stdout
    assert LISTED not in refused.stdout

    credentials.kv.delete(store_path(FORGOTTEN))
    rotated = lab.rotate(credentials=[ID], force=True)
    found = credentials.kv.read_fields(store_path(LISTED))
    assert found is not None
    new = credentials.stored(ID).credential
    assert login_of(found.values) == Credential(new.username, new.password)
    assert new.password != kept.password
    written = [entry.what for entry in credentials.journal(rotated.run) if LISTED in entry.step]
    assert [what.partition(" into ")[2] for what in written] == [f"store path {FOLDER}/{LISTED}", "Airflow's database"]
    assert "K020" in airflow.xcom(rotated.run, "record", "report")
