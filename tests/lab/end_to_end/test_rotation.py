"""rotate_credentials on the whole lab: real services, real consumers, Airflow's own scheduler and triggerer."""

from __future__ import annotations

import pytest

from infra_ops.models.credentials import Answer, Credential
from tests.lab.end_to_end.airflow import Airflow
from tests.lab.end_to_end.conftest import Lab, Rotated, wait_until
from tests.lab.end_to_end.managed import Managed

REFUSALS = {
    "postgres_appuser": "28P01",
    "flower_celery": "401",
    "flower_financial_screener": "401",
    "synology_admin": "400",
    "pihole_admin": "401",
    "grafana_admin": "401",
    "airflow_admin": "401",
}
IDS = list(REFUSALS)


def test_it_rotates_all_seven_credentials(rotated: Rotated, credentials: Managed) -> None:
    assert "rotate_credentials: success" in rotated.output
    assert credentials.ids == IDS
    for id_ in IDS:
        before, after = rotated.before[id_], rotated.after[id_]
        assert after.version == before.version + 1
        assert after.credential.password != before.credential.password
        assert credentials.pending(id_) is None


@pytest.mark.parametrize("id_", IDS)
def test_the_new_value_logs_in_and_the_old_one_and_junk_are_refused(
    id_: str, rotated: Rotated, credentials: Managed
) -> None:
    """By the service's own error, not by silence."""
    new, old = credentials.stored(id_).credential, rotated.before[id_].credential
    assert credentials.log_in(id_, new).answer is Answer.ACCEPTED
    for wrong in (old, Credential(new.username, "junk")):
        login = credentials.log_in(id_, wrong)
        assert (login.answer, login.code) == (Answer.REFUSED, REFUSALS[id_])


def test_every_consumer_of_the_database_works_as_the_new_user(rotated: Rotated, credentials: Managed) -> None:
    """The sessions that the server has open are those of the consumers' pods, and nobody is left with the old user.

    Other tests may have rotated again by now, so new and old are those of the last rotation.
    """
    id_ = "postgres_appuser"
    old = credentials.stored(id_, credentials.stored(id_).credential.base_version).credential
    holders = {mark for session in credentials.sessions(id_) for mark in (session.address, session.application)}
    consumers = [workload for workload, keeps_session in credentials.consumers(id_) if keeps_session]
    assert len(consumers) == 5
    assert [str(workload) for workload in consumers if not credentials.marks(workload) & holders] == []
    assert old.username != credentials.stored(id_).credential.username
    assert credentials.target(id_).sessions(old.username) == []


@pytest.mark.parametrize("id_", IDS)
def test_every_copy_in_the_cluster_is_the_new_value(id_: str, rotated: Rotated, credentials: Managed) -> None:
    assert credentials.copies(id_) == credentials.wanted_copies(id_)


def test_the_monitor_of_flower_is_let_in_with_the_new_value(lab: Lab, rotated: Rotated) -> None:
    """It reads its Secret as a file, which lags behind by a minute where another test has changed it."""

    def answer() -> str:
        return lab.kubectl("-n", "monitoring", "logs", "deploy/flower-celery-probe").split()[-1]

    wait_until(lambda: answer() == "200", "the monitor is let in", seconds=150)


def test_the_report_tells_every_write_and_what_was_found(
    rotated: Rotated, airflow: Airflow, credentials: Managed
) -> None:
    report = airflow.xcom(rotated.run, "record", "report")
    entries = credentials.journal(rotated.run)
    assert len(entries) > 20
    assert [entry.step for entry in entries if f"{entry.step}: {entry.what}" not in report] == []
    assert report.count("\n- pass: ") == 5 * len(IDS)
    assert airflow.xcom(rotated.run, "verdict", "verdict") == {"state": "pass", "reasons": []}


def test_a_second_run_writes_nothing_and_says_why(
    lab: Lab, rotated: Rotated, airflow: Airflow, credentials: Managed
) -> None:
    before = credentials.revisions()
    again = lab.rotate()
    run = again.run
    plan = airflow.xcom(run, "plan", "plan")
    assert plan["steps"] == []
    for id_, reason in zip(IDS, plan["nothing_to_do"], strict=True):
        assert reason.startswith(f"{id_}: version {again.before[id_].version} was set on ")
        assert reason in airflow.xcom(run, "record", "report")
    assert credentials.journal(run) == []
    assert credentials.revisions() == before
    assert again.after == again.before
    tasks = airflow.tasks(run)
    assert {tasks[task] for task in ("introduce", "switch", "retire", "finish")} == {"skipped"}
    assert {tasks[task] for task in ("verify", "record", "verdict")} == {"success"}


def test_a_stale_plan_is_refused_and_the_run_fails(lab: Lab, rotated: Rotated, credentials: Managed) -> None:
    before = credentials.revisions()
    result = lab("run", "rotate_credentials", "--conf", '{"mode": "apply", "plan_id": "0123456789ab"}')
    assert result.returncode == 1
    assert "Plan 0123456789ab is no longer what would be done." in result.stdout
    assert credentials.revisions() == before


def test_an_unknown_credential_is_one_clear_sentence(lab: Lab, rotated: Rotated) -> None:
    result = lab("run", "rotate_credentials", "--conf", '{"mode": "apply", "credentials": ["postgres"]}')
    assert result.returncode == 1
    assert f"'postgres' is no credential that rotates; there are: {', '.join(IDS)}." in result.stdout
