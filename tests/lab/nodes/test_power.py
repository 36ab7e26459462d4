"""The power switch, and starts of the whole service."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lab import sandbox
from tests.lab.nodes.conftest import NAMES, PROJECT, SEED, Nodes, serving, started, wait_until
from tests.lab.users import NOBODY, ordinary_user


def _sleeping(*seconds: str) -> list[list[str]]:
    running = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])]
    return [argv for argv in running if set(seconds) & set(argv)]


def test_a_node_without_power_drops_connections_and_processes_and_comes_back(nodes: Nodes) -> None:
    with nodes.connect("rpi-8") as client:
        nodes.ssh("rpi-8", "echo kept > /etc/mark; setsid sleep 7801 > /dev/null 2>&1 < /dev/null &")
        _, stdout, _ = client.exec_command("sleep 7802")
        (nodes.root / "rpi-8/off").touch()
        wait_until(lambda: not nodes.listens("rpi-8"))
        assert stdout.read() == b""
        wait_until(lambda: not client.get_transport().is_active())
    assert nodes.listens("rpi-7")
    wait_until(lambda: not _sleeping("7801", "7802"))  # the kernel kills what was below the init soon after it
    (nodes.root / "rpi-8/off").unlink()
    wait_until(lambda: nodes.listens("rpi-8"))
    assert nodes.ssh("rpi-8", "cat /etc/mark").stdout == "kept\n"


@pytest.mark.skipif(not sandbox.available(), reason="this machine refuses unprivileged namespaces")
def test_a_node_whose_init_dies_starts_again(nodes: Nodes) -> None:
    with nodes.connect("rpi-7") as client:
        _, stdout, _ = client.exec_command("sleep 7803")
        [init] = [
            process
            for process in psutil.Process(nodes.process.pid).children()
            if process.cmdline()[:1] == ["unshare"] and "rpi-7" in process.cmdline()
        ]
        init.kill()
        stdout.read()
    wait_until(lambda: nodes.ssh("rpi-7", "hostname").stdout == "rpi-7\n")


def test_keys_tokens_and_files_survive_a_kill_which_leaves_no_process(folder: Path) -> None:
    with started(folder) as first:
        keys = {name: first.host_key(name) for name in NAMES}
        token = (first.root / "rpi-1/var/lib/rancher/k3s/server/token").read_text()
        family = psutil.Process(first.process.pid).children(recursive=True)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(10)
    assert psutil.wait_procs(family, timeout=10)[1] == []
    argv = [str(word) for word in first.process.args]
    with serving(first.root, first.key, first.ports, argv) as second:
        assert {name: second.host_key(name) for name in NAMES} == keys
        assert (second.root / "rpi-1/var/lib/rancher/k3s/server/token").read_text() == token
        assert second.ssh("rpi-1", "hostname").stdout == "rpi-1\n"


def test_a_port_that_is_taken_ends_the_start_with_its_number(nodes: Nodes, tmp_path: Path) -> None:
    taken = nodes.ports["rpi-1"]
    argv = [sys.executable, "-m", "lab.nodes", "--root", str(tmp_path), "--nodes", str(SEED)]
    argv += ["--ports", ",".join(f"{name}={taken}" for name in NAMES)]
    result = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert f"127.0.0.1', {taken}): address already in use" in result.stderr.splitlines()[-1]


def test_a_broken_seed_file_is_named(tmp_path: Path) -> None:
    seed = tmp_path / "nodes.yaml"
    seed.write_text("- {name: rpi-1}\n")
    argv = [sys.executable, "-m", "lab.nodes", "--root", str(tmp_path), "--nodes", str(seed), "--ports", "rpi-1=1"]
    result = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert f"{seed} is not a list of nodes with name, role, address and capacity" in result.stderr


def test_an_ordinary_user_runs_the_same_nodes(folder: Path) -> None:
    with started(folder, ordinary_user(), NOBODY if ordinary_user() else None) as nodes:
        result = nodes.ssh("rpi-1", "hostname; touch /etc/mine && sudo k3s --version")
        assert result.stdout.split()[:3] == ["rpi-1", "k3s", "version"]
        with nodes.connect("rpi-5") as client, client.open_sftp() as sftp:
            sftp.open("/etc/by-sftp", "w").close()
            _, stdout, _ = client.exec_command("ls /etc/by-sftp")
            assert stdout.read() == b"/etc/by-sftp\n"
        (nodes.root / "rpi-5/off").touch()
        wait_until(lambda: not nodes.listens("rpi-5"))
