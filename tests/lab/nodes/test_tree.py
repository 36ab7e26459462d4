"""Laying out the nodes' folders, also after an interrupted first time."""

import subprocess
from pathlib import Path

from lab import K3S_VERSION
from lab.nodes import k3s, machine, tree
from lab.nodes.places import SNAPSHOTS, TOKEN
from tests.lab.nodes.conftest import SEED

NOW = 1_800_000_000


def test_a_start_after_an_interrupted_one_shares_the_same_token(tmp_path: Path) -> None:
    machines = machine.load(SEED, tmp_path)
    tree.prepare(machines, NOW, K3S_VERSION)
    tokens = [each.root / TOKEN for each in machines if each.role == "server"]
    before = tokens[0].read_text()
    tokens[0].unlink()
    tokens[1].unlink()
    tree.prepare(machines, NOW, K3S_VERSION)
    assert {token.read_text() for token in tokens} == {before}


def test_what_was_changed_on_a_node_is_kept_and_what_is_missing_comes_back(tmp_path: Path) -> None:
    machines = machine.load(SEED, tmp_path)
    tree.prepare(machines, NOW, K3S_VERSION)
    hosts, commands = machines[0].root / "etc/hosts", machines[0].root / "usr/local/bin"
    hosts.write_text("changed by a playbook")
    (commands / "k3s").unlink()
    tree.prepare(machines, NOW, K3S_VERSION)
    assert hosts.read_text() == "changed by a playbook"
    assert (commands / "k3s").stat().st_mode & 0o777 == 0o755


def test_scheduled_snapshots_are_caught_up_after_a_long_pause(tmp_path: Path) -> None:
    """As far as the nodes know they ran all the time, so the newest snapshot is never older than six hours."""
    machines = machine.load(SEED, tmp_path)
    for now in (NOW, NOW + 20 * 24 * 3600):
        tree.prepare(machines, now, K3S_VERSION)
        taken = sorted(int(file.name.split("-")[-1]) for file in (machines[0].root / SNAPSHOTS).iterdir())
        assert len(taken) == 48
        assert 0 <= now - taken[-1] < k3s.SNAPSHOT_PERIOD


def test_passwords_and_private_keys_of_the_host_are_not_copied(tmp_path: Path) -> None:
    tree.prepare(machine.load(SEED, tmp_path), NOW, K3S_VERSION)
    assert not list(tmp_path.glob("*/etc/shadow*"))
    assert not list(tmp_path.glob("*/etc/ssl/private"))


def test_a_node_has_the_version_of_the_latest_start(tmp_path: Path) -> None:
    machines = machine.load(SEED, tmp_path)
    for version in (K3S_VERSION, "v1.36.2"):
        tree.prepare(machines, NOW, version)
        command = [machines[-1].root / "usr/local/bin/k3s", "--version"]
        environment = {"LAB_NODE_ROOT": str(machines[-1].root)}
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        assert told.startswith(f"k3s version {version} (")
