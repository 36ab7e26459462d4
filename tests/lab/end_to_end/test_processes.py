"""What the processes of a running lab show to others on the machine."""

from __future__ import annotations

import contextlib
import stat
from ipaddress import ip_address
from pathlib import Path

import psutil

from tests.lab.end_to_end.conftest import Lab

AIRFLOW_KEYS = ("airflow_fernet_key", "airflow_jwt_secret", "airflow_secret_key", "airflow_database")


def processes(lab: Lab) -> list[psutil.Process]:
    """The lab's supervisor and everything that it started."""
    supervisor = psutil.Process(lab.state["pid"])
    return [supervisor, *supervisor.children(recursive=True)]


def test_no_password_is_on_a_command_line(lab: Lab) -> None:
    passwords = {name: Path(path).read_text().strip() for name, path in lab.state["credentials"].items()}
    lines = set()
    for process in processes(lab):
        with contextlib.suppress(psutil.NoSuchProcess):  # tasks come and go
            lines.add(" ".join(process.cmdline()))
    assert len(lines) > 8
    assert {name for name, password in passwords.items() if any(password in line for line in lines)} == set()


def test_no_secret_of_airflow_is_in_an_environment(lab: Lab) -> None:
    """They are in airflow.cfg, which only its owner may read."""
    secrets = {name: (lab.root / "credentials" / name).read_text() for name in AIRFLOW_KEYS}
    environments = []
    for process in processes(lab):
        with contextlib.suppress(psutil.NoSuchProcess):  # tasks come and go
            if "airflow" in " ".join(process.cmdline()):
                environments.append(" ".join(process.environ().values()))
    assert len(environments) >= 4
    for environment in environments:
        assert {name for name, secret in secrets.items() if secret in environment} == set()
    config = lab.root / "data" / "airflow" / "airflow.cfg"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_everybody_listens_on_the_loopback_only(lab: Lab) -> None:
    """Airflow's log servers would listen on all interfaces if they were not switched off."""
    listening = set()
    for process in processes(lab):
        with contextlib.suppress(psutil.NoSuchProcess):  # tasks come and go
            connections = process.net_connections(kind="inet")
            listening |= {each.laddr for each in connections if each.status == psutil.CONN_LISTEN}
    assert len(listening) > 5
    assert {address for address in listening if not ip_address(address.ip).is_loopback} == set()
