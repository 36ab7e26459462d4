"""Every playbook of include/ansible on a server by real SSH: it shows first, then changes once, then nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from infra_ops.clients.ansible import ROOT, Ansible
from tests.lab.encryption.stage import DROP_IN, FILE
from tests.lab.servers_of_k3s import K3sCluster

SERVER = "rpi-3"


@pytest.fixture
def ansible(k3s: K3sCluster, monkeypatch: pytest.MonkeyPatch) -> Ansible:
    monkeypatch.setenv("INFRA_OPS_SSH", str(k3s.ssh_folder))
    return Ansible(k3s.inventory())


def converge(ansible: Ansible, playbook: str, **variables: Any) -> list[int]:
    """What would change, what does, what does the second time."""
    return [ansible.play(playbook, SERVER, variables, check=check) for check in (True, False, False)]


def test_the_configuration_comes_and_goes(ansible: Ansible, k3s: K3sCluster) -> None:
    shown, changed, again = converge(ansible, "write_encryption_config", content="apiVersion: v1\n")
    assert (shown > 0, changed > 0, again) == (True, True, 0)
    assert oct(k3s.disk(SERVER, FILE).stat().st_mode)[-3:] == "600"
    assert converge(ansible, "withdraw_encryption_config", state="unused") == [1, 1, 0]
    assert (k3s.disk(SERVER, FILE).exists(), k3s.disk(SERVER, DROP_IN).exists()) == (True, False)
    assert converge(ansible, "withdraw_encryption_config", state="absent") == [1, 1, 0]
    assert not k3s.disk(SERVER, FILE).exists()


def test_keys_pass_through_a_servers_memory_only(ansible: Ansible, k3s: K3sCluster) -> None:
    """Ansible brings a file's content before it puts it in its place; who dies then leaves it where it was brought."""
    for become in (True, False):
        variables = {"content": f"apiVersion: v{become:d}\n", "ansible_become": become}
        assert ansible.play("write_encryption_config", SERVER, variables) > 0
    assert not k3s.disk(SERVER, "/home/pi/.ansible").exists()
    assert not k3s.disk(SERVER, "/root/.ansible").exists()
    brought = k3s.disk(SERVER, "/dev/shm/ansible-pi")
    assert (oct(brought.stat().st_mode)[-3:], list(brought.iterdir())) == ("700", [])
    ansible.play("withdraw_encryption_config", SERVER, {"state": "absent"})


def test_the_switch_of_k3s_own_encryption_goes_on_and_off(ansible: Ansible) -> None:
    shown, changed, again = converge(ansible, "switch_managed_encryption", state="present")
    assert (shown > 0, changed > 0, again) == (True, True, 0)
    assert converge(ansible, "switch_managed_encryption", state="absent") == [1, 1, 0]


def test_a_server_is_restarted_once(ansible: Ansible) -> None:
    assert converge(ansible, "restart_server", started_before=int(time.time())) == [0, 1, 0]


def test_etcdctl_is_brought(ansible: Ansible, k3s: K3sCluster, tmp_path: Path) -> None:
    source, command = tmp_path / "etcdctl", k3s.disk(SERVER, "/usr/local/bin/etcdctl")
    kept = command.read_bytes()
    source.write_text("#!/bin/sh\n")
    assert converge(ansible, "install_etcdctl", etcdctl_source=str(source)) == [1, 1, 0]
    assert oct(command.stat().st_mode)[-3:] == "755"
    command.write_bytes(kept)


def test_no_playbook_is_left_out() -> None:
    tried = {"write_encryption_config", "withdraw_encryption_config", "switch_managed_encryption"}
    tried |= {"restart_server", "install_etcdctl"}
    assert {path.stem for path in (ROOT / "playbooks").glob("*.yml")} == tried
