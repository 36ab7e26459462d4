"""Who may log in to a node, and that a client that checks host keys can tell nodes apart."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from tests.lab.nodes.conftest import Nodes


def test_the_holder_of_an_authorized_key_logs_in_as_pi(nodes: Nodes) -> None:
    result = nodes.ssh("rpi-3", "hostname; pwd; echo $USER $HOME $SHELL")
    assert result.stdout == "rpi-3\n/home/pi\npi /home/pi /bin/bash\n"


def test_openssh_refuses_a_node_with_another_host_key(nodes: Nodes) -> None:
    options = nodes.ssh_options(nodes.known_hosts({"rpi-1": "rpi-2"}))
    argv = ["ssh", *options, "-p", str(nodes.ports["rpi-1"]), "pi@127.0.0.1", "true"]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert result.returncode == 255
    assert "Host key verification failed" in result.stderr


def test_nobody_but_pi_logs_in(nodes: Nodes) -> None:
    result = nodes.ssh("rpi-1", "true", user="root")
    assert (result.returncode, "Permission denied" in result.stderr) == (255, True)


@pytest.fixture
def authorized(nodes: Nodes) -> Iterator[Path]:
    """The file of authorized keys, restored afterwards."""
    path = nodes.root / "authorized_keys"
    before = path.read_text()
    yield path
    path.write_text(before)


def test_a_key_is_accepted_as_long_as_it_is_listed(nodes: Nodes, authorized: Path) -> None:
    """The file is read at each login, so keys can be changed while the lab runs."""
    before = authorized.read_text()
    authorized.write_text("")
    assert nodes.ssh("rpi-1", "true").returncode == 255
    authorized.write_text(before)
    assert nodes.ssh("rpi-1", "true").returncode == 0


def test_a_listed_key_of_another_kind_than_ed25519_is_refused(nodes: Nodes, authorized: Path) -> None:
    key = paramiko.ECDSAKey.generate()
    authorized.write_text(f"{authorized.read_text()}{key.get_name()} {key.get_base64()}\n")
    client = paramiko.SSHClient()
    client.load_host_keys(str(nodes.known_hosts()))
    options = {"port": nodes.ports["rpi-1"], "allow_agent": False, "look_for_keys": False}
    with pytest.raises(paramiko.AuthenticationException):
        client.connect("127.0.0.1", username="pi", pkey=key, **options)


def test_a_password_is_not_even_asked_for(nodes: Nodes) -> None:
    client = paramiko.SSHClient()
    client.load_host_keys(str(nodes.known_hosts()))
    with pytest.raises(paramiko.BadAuthenticationType) as refusal:
        client.connect(
            "127.0.0.1", nodes.ports["rpi-1"], "pi", password="raspberry", allow_agent=False, look_for_keys=False
        )
    assert refusal.value.allowed_types == ["publickey"]


def test_the_host_key_is_private_to_its_owner(nodes: Nodes) -> None:
    keys = list(nodes.root.glob("*/etc/ssh/ssh_host_ed25519_key"))
    assert len(keys) == 8
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert len({key.read_text() for key in keys}) == 8
