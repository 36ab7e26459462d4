"""The runbooks that work on the servers, on the whole lab: in tool pods, with what these may and nothing more."""

from __future__ import annotations

import pytest

from tests.lab.encryption.stage import writers
from tests.lab.end_to_end.airflow import Airflow
from tests.lab.end_to_end.conftest import Lab


def writers_of(lab: Lab) -> set[str]:
    return set(writers(lab.root / "data/apiserver/state.db"))


def test_certificates_that_are_young_are_left_alone(lab: Lab) -> None:
    assert "certificates: success" in lab.do("run", "certificates")


@pytest.mark.timeout(1800)
def test_secrets_are_encrypted_by_a_plan_that_a_person_has_named(lab: Lab) -> None:
    airflow = Airflow(lab.state, "secrets_encryption")
    assert writers_of(lab) == {"plain"}
    planned = airflow.trigger()
    assert airflow.wait(planned) == "success", airflow.tasks(planned)
    assert writers_of(lab) == {"plain"}
    run = airflow.trigger(mode="apply", plan_id=airflow.xcom(planned, "plan", "plan")["id"])
    assert airflow.wait(run, seconds=1500) == "success", airflow.tasks(run)
    assert writers_of(lab) == {"secretbox:key1"}
    assert airflow.tasks(run)["undo"] == "skipped"
