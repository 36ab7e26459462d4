"""The lab adopts the passwords that it invented at every start, and never undoes what a rotation did."""

from __future__ import annotations

import pytest

from infra_ops.models.credentials import Credential
from infra_ops.models.inventory import Inventory
from lab import adoption, credentials
from lab.adoption import adopt_all, logins
from lab.layout import Lab
from tests.lab.rotation.stage import OLD_PASSWORD, Stage


@pytest.fixture
def fresh(stage: Stage) -> Stage:
    """A lab that has just been started for the first time: nothing is stored."""
    for id_ in stage.inventory.credentials:
        stage.kv.delete(f"svc/{id_}")
    return stage


def invented(stage: Stage, password: str = OLD_PASSWORD) -> dict[str, Credential]:
    return {f"{stage.name}_admin": Credential("postgres", stage.admin), stage.name: Credential(stage.name, password)}


def test_the_first_start_stores_what_logs_in_and_the_second_writes_nothing(fresh: Stage) -> None:
    for _ in range(2):
        assert adopt_all(fresh.inventory, fresh.kv, fresh.api, invented(fresh)) == []
        stored = {id_: fresh.kv.read(f"svc/{id_}") for id_ in invented(fresh)}
        assert {id_: each and (each.version, each.credential) for id_, each in stored.items()} == {
            id_: (1, credential) for id_, credential in invented(fresh).items()
        }


def test_what_a_rotation_stored_stays(fresh: Stage) -> None:
    adopt_all(fresh.inventory, fresh.kv, fresh.api, invented(fresh))
    fresh.rotate()
    before = fresh.kv.read(f"svc/{fresh.name}")
    assert adopt_all(fresh.inventory, fresh.kv, fresh.api, invented(fresh)) == []
    assert fresh.kv.read(f"svc/{fresh.name}") == before
    assert before is not None
    assert before.version == 2


def test_a_value_that_does_not_log_in_is_named_and_the_others_are_adopted(fresh: Stage) -> None:
    refusals = adopt_all(fresh.inventory, fresh.kv, fresh.api, invented(fresh, password="wrong"))
    assert refusals == [
        f"{fresh.name} was not adopted: The service does not accept this login of {fresh.name} (refused 28P01); "
        "nothing was stored."
    ]
    assert fresh.kv.read(f"svc/{fresh.name}") is None
    assert fresh.kv.read(f"svc/{fresh.name}_admin") is not None


def test_a_service_that_stays_away_is_not_waited_for_for_ever(fresh: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "PATIENCE", 0.1)
    monkeypatch.setattr(fresh, "port", 1)
    admin = f"{fresh.name}_admin"
    assert adopt_all(fresh.inventory, fresh.kv, fresh.api, invented(fresh)) == [
        f"{admin} was not adopted: The service does not accept this login of {admin} "
        "(unreachable ConnectionRefusedError); nothing was stored.",
        f"{fresh.name} was not adopted: The login {admin} is not stored: "
        f"run `python -m infra_ops adopt {admin}` first.",
    ]


def test_administrators_come_first_because_they_prove_the_others(lab: Lab) -> None:
    target = {"kind": "postgres", "host": "h", "database": "d", "admin": "postgres_admin", "owner": "o"}
    ids = {
        "postgres_appuser": {"title": "x", "target": {**target, "users": ["appuser", "b"]}},
        "postgres_admin": {"title": "x"},
        "somebody_elses": {"title": "x"},
    }
    inventory = Inventory.model_validate(
        {
            "name": "x",
            "k3s_version": "v1.32.2+k3s1",
            "nodes": [{"name": "a", "role": "server", "address": "192.168.1.21"}],
            "namespaces": {},
            "store": {"mount": "infra"},
            "credentials": ids,
        }
    )
    found = list(logins(lab.credentials, inventory))
    assert [(id_, credential.username) for id_, credential in found] == [
        ("postgres_admin", "postgres"),
        ("postgres_appuser", "appuser"),
    ]
    assert found[0][1].password == credentials.read(lab.credentials, "postgres_superuser")
