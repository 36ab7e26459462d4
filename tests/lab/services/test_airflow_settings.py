"""What Airflow is told before it starts."""

from __future__ import annotations

import asyncio
import configparser
import json
import stat
from pathlib import Path

import pytest

from lab import credentials
from lab.layout import Lab
from lab.ports import Ports
from lab.services import nodes, openbao_setup
from lab.services.airflow import _once
from lab.services.airflow_environment import of_components, of_triggerer, of_workers
from lab.services.airflow_settings import home, write_config


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab whose nodes have their host keys, with nothing running."""
    lab = Lab(tmp_path, Ports())
    credentials.invent(lab.credentials)
    files = [file.name for role in openbao_setup.APP_ROLES for file in openbao_setup.role_files(lab, role)]
    for name in (*files, nodes.KEY):
        credentials.store(lab.credentials, name, f"invented {name}")
    for name in nodes.names():
        folder = lab.nodes / name / "etc" / "ssh"
        folder.mkdir(parents=True)
        (folder / "ssh_host_ed25519_key.pub").write_text(f"ssh-ed25519 AAAA{name} root@{name}\n")
    return lab


def config(lab: Lab) -> configparser.ConfigParser:
    """airflow.cfg as Airflow reads it: with interpolation."""
    parsed = configparser.ConfigParser()
    parsed.read(home(lab) / "airflow.cfg")
    return parsed


def test_only_its_owner_may_read_the_configuration(lab: Lab) -> None:
    write_config(lab, "local")
    assert stat.S_IMODE((home(lab) / "airflow.cfg").stat().st_mode) == 0o600


def test_the_keys_stay_the_same_from_one_start_to_the_next(lab: Lab) -> None:
    """With another Fernet key the connections in the database could not be read any more."""
    write_config(lab, "local")
    first = {section: dict(options) for section, options in config(lab).items()}
    write_config(lab, "local")
    assert {section: dict(options) for section, options in config(lab).items()} == first
    assert len({first["core"]["fernet_key"], first["api"]["secret_key"], first["api_auth"]["jwt_secret"]}) == 3


def test_a_database_password_may_contain_any_character(lab: Lab) -> None:
    credentials.store(lab.credentials, "airflow_database", "50%/a@b:c")
    write_config(lab, "local")
    assert "://airflow:50%25%2Fa%40b%3Ac@127.0.0.1:" in config(lab)["database"]["sql_alchemy_conn"]


def test_environments_hold_no_secret(lab: Lab) -> None:
    """The environment of a process is shown by many tools, and goes into the ConfigMap of the workers."""
    write_config(lab, "local")
    secrets = [file.read_text() for file in lab.credentials.iterdir()]
    for environment in (of_components(lab), of_triggerer(lab), of_workers(lab)):
        assert [secret for secret in secrets if secret in " ".join(environment.values())] == []


def test_what_tasks_measure_here_is_marked_as_the_labs(lab: Lab) -> None:
    """So that it never counts for a real cluster (infra_ops/airflow/evidence.py)."""
    assert {environment["INFRA_OPS_ORIGIN"] for environment in (of_components(lab), of_workers(lab))} == {"lab"}


def test_they_read_the_labs_own_inventory(lab: Lab) -> None:
    """In include/ itself Services have names that only a cluster knows."""
    for environment in (of_components(lab), of_triggerer(lab)):
        assert environment["INFRA_OPS_INCLUDE"] == str(lab.root / "include")


def test_the_triggerer_is_somebody_else_than_the_workers(lab: Lab) -> None:
    """Sensors measure there; it must not be able to write."""
    workers, triggerer = of_components(lab), of_triggerer(lab)
    differing = {name for name in workers if workers[name] != triggerer[name]}
    assert differing == {
        "KUBECONFIG",
        "AIRFLOW_CONN_KUBERNETES_DEFAULT",
        "VAULT_ROLE_ID_FILE",
        "VAULT_SECRET_ID_FILE",
    }


def test_every_node_is_a_connection_with_its_host_key(lab: Lab) -> None:
    connection = json.loads(of_components(lab)["AIRFLOW_CONN_NODE_RPI_8"])
    assert connection["port"] == lab.ports.of("rpi-8")
    assert connection["extra"]["host_key"] == "ssh-ed25519 AAAArpi-8 root@rpi-8"
    assert connection["extra"]["no_host_key_check"] is False


def test_workers_in_pods_find_everything_where_their_template_mounts_it(lab: Lab) -> None:
    environment = of_workers(lab)
    assert json.loads(environment["AIRFLOW_CONN_NODE_RPI_1"])["extra"]["key_file"] == "/etc/infra-ops/ssh/id_ed25519"
    assert environment["VAULT_CACERT"] == environment["INFRA_OPS_CACERT"] == "/etc/infra-ops/ca/ca.crt"
    assert of_components(lab)["INFRA_OPS_CACERT"] == str(lab.certs / "ca.crt")
    assert environment["INFRA_OPS_INCLUDE"] == "/etc/infra-ops/include"
    assert str(lab.credentials) not in " ".join(environment.values())


def test_four_services_prepare_once() -> None:
    calls = []

    async def step() -> None:
        calls.append(1)
        await asyncio.sleep(0)

    async def four() -> None:
        prepare = _once(step)
        await asyncio.gather(*(prepare() for _ in range(4)))

    asyncio.run(four())
    assert calls == [1]


def test_what_failed_once_is_tried_again_by_the_next() -> None:
    outcomes = [OSError("full"), None]

    async def step() -> None:
        if error := outcomes.pop(0):
            raise error

    async def two() -> None:
        prepare = _once(step)
        with pytest.raises(OSError, match="full"):
            await prepare()
        await prepare()
        await prepare()

    asyncio.run(two())
    assert outcomes == []
