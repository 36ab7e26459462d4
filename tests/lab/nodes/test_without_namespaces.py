"""On a machine that refuses namespaces the nodes still answer, with their files below their folder."""

from collections.abc import Iterator

import psutil
import pytest

from tests.lab.nodes.conftest import Nodes, started, wait_until

PROGRAM = "from lab import sandbox; from lab.nodes import __main__ as m; sandbox.available = lambda: False; m.main()"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with started(tmp_path_factory.mktemp("plain"), program=("-c", PROGRAM)) as running:
        yield running


def test_home_and_commands_are_the_nodes_own(plain: Nodes) -> None:
    result = plain.ssh("rpi-1", "echo here > ~/mark; pwd; command -v k3s; cat mark; set -o pipefail; false | true")
    root = plain.root / "rpi-1"
    assert result.stdout.split() == [f"{root}/home/pi", f"{root}/usr/local/bin/k3s", "here"]
    assert result.returncode == 1


def test_the_stand_ins_find_the_nodes_files(plain: Nodes) -> None:
    listing = plain.ssh("rpi-2", "sudo k3s etcd-snapshot ls; systemctl is-active k3s").stdout.splitlines()
    assert len(listing) == 1 + 48 + 1
    assert listing[-1] == "active"
    assert "etcd-snapshot-rpi-2-" in listing[1]


def test_power_off_ends_what_was_running(plain: Nodes) -> None:
    with plain.connect("rpi-3") as client:
        streams = client.exec_command("sleep 7901")

        def running() -> bool:
            return any("7901" in (p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))

        wait_until(running)
        (plain.root / "rpi-3/off").touch()
        assert streams[1].read() == b""
        wait_until(lambda: not running())


def test_a_command_that_closes_its_input_does_not_end_the_connection(plain: Nodes) -> None:
    with plain.connect("rpi-4") as client:
        stdin, stdout, _ = client.exec_command("exec 0<&-; echo deaf; sleep 0.2")
        stdin.write(b"y" * 1_000_000)
        assert stdout.read() == b"deaf\n"
        assert client.exec_command("echo again")[1].read() == b"again\n"
