"""Commands on a node: bash, exit codes, detached processes, ends of sessions."""

from pathlib import Path

import psutil
import pytest

from lab import sandbox
from tests.lab.nodes.conftest import Nodes, wait_until

isolated = pytest.mark.skipif(not sandbox.available(), reason="this machine refuses unprivileged namespaces")


def processes(marker: str) -> list[psutil.Process]:
    """Processes of this machine with an argument `marker`; only the tests' own can have it."""
    return [p for p in psutil.process_iter(["cmdline"]) if marker in (p.info["cmdline"] or [])]


def test_the_shell_is_bash_so_a_failing_pipe_can_fail_the_command(nodes: Nodes) -> None:
    assert nodes.ssh("rpi-1", "set -o pipefail; false | true").returncode == 1
    assert nodes.ssh("rpi-1", "false | true").returncode == 0


def test_output_error_and_exit_code_arrive_apart(nodes: Nodes) -> None:
    result = nodes.ssh("rpi-1", "echo out; echo err >&2; exit 42")
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 42)


def test_a_command_that_was_killed_is_reported_so(nodes: Nodes) -> None:
    with nodes.connect("rpi-1") as client:
        _, stdout, _ = client.exec_command("kill -KILL $$")
        assert stdout.channel.recv_exit_status() == -1  # paramiko's word for exit-signal


def test_large_input_and_output_pass_unharmed(nodes: Nodes) -> None:
    with nodes.connect("rpi-1") as client:
        stdin, stdout, _ = client.exec_command("wc -c; head -c 3000000 /dev/zero | tr '\\0' x")
        stdin.write(b"y" * 2_000_000)
        stdin.channel.shutdown_write()
        assert stdout.read() == b"2000000\n" + b"x" * 3_000_000


def test_a_slow_reader_gets_everything_of_a_command_that_has_ended(nodes: Nodes) -> None:
    """Two MB fit into the channel's window; the rest waits in the node until it is read."""
    with nodes.connect("rpi-1") as client:
        _, stdout, _ = client.exec_command("head -c 2220000 /dev/zero | tr '\\0' x")
        wait_until(lambda: stdout.channel.in_buffer.__len__() > 2_000_000)
        assert len(stdout.read()) == 2_220_000


def test_nothing_is_lost_at_the_end_of_a_command(nodes: Nodes) -> None:
    """SSH has one end of file a channel, a process has one a stream: the first to end must not cut off the other."""
    with nodes.connect("rpi-1") as client:
        streams = [client.exec_command(f"echo out {number}; echo err {number} >&2") for number in range(20)]
        for number, (_, stdout, stderr) in enumerate(streams):
            assert (stdout.read(), stderr.read()) == (b"out %d\n" % number, b"err %d\n" % number)


def test_a_command_that_leaves_its_input_unread_does_not_end_the_connection(nodes: Nodes) -> None:
    with nodes.connect("rpi-1") as client:
        stdin, stdout, _ = client.exec_command("sleep 0.2")
        stdin.write(b"y" * 1_000_000)
        assert stdout.channel.recv_exit_status() == 0
        _, stdout, _ = client.exec_command("echo again")
        assert stdout.read() == b"again\n"


def test_a_terminal_is_given_to_who_asks_for_one(nodes: Nodes) -> None:
    assert "not a tty" in nodes.ssh("rpi-1", "tty").stdout
    assert nodes.ssh("rpi-1", "-tt", "tty").stdout.startswith("/dev/pts/")


@isolated
def test_files_of_a_node_are_its_own(nodes: Nodes) -> None:
    places = "/etc /root /home/pi /opt /srv /tmp /var/lib /var/log /usr/local/bin"
    script = f"for place in {places}; do echo {{}} > $place/mark; done"
    assert nodes.ssh("rpi-4", script.format("four")).stderr == ""
    assert nodes.ssh("rpi-5", script.format("five")).stderr == ""
    assert nodes.ssh("rpi-4", f"cd / && cat {places.replace(' ', '/mark ')}/mark").stdout == "four\n" * 9
    assert not Path("/etc/mark").exists()
    assert (nodes.root / "rpi-5/var/log/mark").read_text() == "five\n"


@isolated
def test_the_host_cannot_be_changed_from_a_node(nodes: Nodes) -> None:
    assert "Read-only file system" in nodes.ssh("rpi-1", "rm -rf /usr/bin/env").stderr


@isolated
def test_a_node_shows_its_own_processes_only(nodes: Nodes) -> None:
    nodes.ssh("rpi-6", "setsid sleep 7701 > /dev/null 2>&1 < /dev/null &")
    assert "sleep 7701" in nodes.ssh("rpi-6", "ps ax").stdout
    assert "sleep 7701" not in nodes.ssh("rpi-7", "ps ax").stdout
    assert "pytest" not in nodes.ssh("rpi-6", "ps ax").stdout


def test_a_closed_channel_kills_the_commands_process_group(nodes: Nodes) -> None:
    with nodes.connect("rpi-1") as client:
        streams = client.exec_command("trap '' HUP; sleep 7702 | sleep 7703")
        wait_until(lambda: len(processes("7702") + processes("7703")) >= 2)
        streams[0].channel.close()
    wait_until(lambda: not processes("7702") + processes("7703"))


def test_a_detached_process_outlives_its_session(nodes: Nodes) -> None:
    """Airflow's SSHRemoteJobOperator and a restart of K3s depend on it."""
    nodes.ssh("rpi-1", "setsid sleep 7704 > /dev/null 2>&1 < /dev/null &")
    assert "sleep 7704" in nodes.ssh("rpi-1", "ps ax").stdout
    nodes.ssh("rpi-1", "pkill -f 'sleep 7704'")
    wait_until(lambda: not processes("7704"))


def test_an_unfinished_command_does_not_block_another(nodes: Nodes) -> None:
    with nodes.connect("rpi-1") as client:
        slow = client.exec_command("sleep 7705")
        _, stdout, _ = client.exec_command("echo quick")
        assert stdout.read() == b"quick\n"
        assert not slow[1].channel.closed


def test_sudo_says_who_called_and_passes_on_the_exit_code(nodes: Nodes) -> None:
    result = nodes.ssh("rpi-1", "sudo -n -H -u root sh -c 'echo $SUDO_USER $USER $HOME; exit 9'")
    assert (result.stdout, result.returncode) == ("pi root /root\n", 9)
    assert nodes.ssh("rpi-1", "sudo -n true").returncode == 0
    assert nodes.ssh("rpi-1", "sudo -u nobody true").returncode == 1
