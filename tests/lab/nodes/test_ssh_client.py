"""The product's SSH client against the lab's nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from infra_ops.clients.ssh import CommandFailed, Machine, UnknownHost, Unreachable
from tests.lab.nodes.conftest import Nodes


@pytest.fixture
def material(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that INFRA_OPS_SSH names."""
    (tmp_path / "id_ed25519").write_text(nodes.key.read_text())
    (tmp_path / "id_ed25519").chmod(0o600)
    (tmp_path / "known_hosts").write_text(nodes.known_hosts().read_text())
    monkeypatch.setenv("INFRA_OPS_SSH", str(tmp_path))
    return tmp_path


@pytest.fixture
def machine(nodes: Nodes, material: Path) -> Iterator[Machine]:
    found = Machine("rpi-1", "127.0.0.1", port=nodes.ports["rpi-1"])
    yield found
    found.close()


def test_a_command_tells_status_and_output(machine: Machine) -> None:
    answer = machine.ask("sh", "-c", "cat; echo bad >&2; exit 3", stdin=b"given")
    assert (answer.status, answer.output, answer.errors) == (3, b"given", b"bad\n")
    assert "given" not in repr(answer)


def test_a_command_that_must_succeed_raises_its_last_words(machine: Machine) -> None:
    with pytest.raises(CommandFailed, match="`ls /none` on rpi-1 ended with status 2: .*No such file"):
        machine.run("ls", "/none")


def test_what_a_failed_command_printed_is_not_told(machine: Machine) -> None:
    """It may be the content of a file with a token."""
    sentence = r"on rpi-1 ended with status 3: it said nothing on stderr$"
    with pytest.raises(CommandFailed, match=sentence) as failed:
        machine.run("sh", "-c", "cat; exit 3", stdin=b"token: quartz")
    assert "quartz" not in str(failed.value)
    with pytest.raises(CommandFailed, match=sentence):
        list(machine.stream("sh", "-c", "exit 3"))


def test_much_output_on_both_sides_blocks_nobody(machine: Machine) -> None:
    script = "head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2"
    answer = machine.run("sh", "-c", script)
    assert (len(answer.output), len(answer.errors)) == (5_000_000, 5_000_000)


def test_a_command_that_does_not_end_is_ended_on_the_machine(machine: Machine) -> None:
    with pytest.raises(CommandFailed, match="did not end within 1 s"):
        machine.run("sh", "-c", "yes >/dev/null; true", seconds=1)
    assert machine.ask("pgrep", "--runstates", "R,S", "-x", "yes").text == ""


def test_a_lost_connection_is_made_again(machine: Machine) -> None:
    machine.run("true")
    machine._open().get_transport().close()  # type: ignore[union-attr]
    assert machine.run("hostname").text == "rpi-1\n"


def test_a_machine_that_is_off_is_unreachable(nodes: Nodes, material: Path) -> None:
    known = material / "known_hosts"
    known.write_text(known.read_text() + f"[127.0.0.1]:1 {nodes.host_key('rpi-1')}\n")
    with pytest.raises(Unreachable, match="rpi-9 cannot be reached by SSH"):
        Machine("rpi-9", "127.0.0.1", port=1).run("true")


def test_another_host_key_is_refused(nodes: Nodes, material: Path) -> None:
    (material / "known_hosts").write_text(nodes.known_hosts({"rpi-1": "rpi-2"}).read_text())
    with pytest.raises(UnknownHost, match="rpi-1 shows another host key"):
        Machine("rpi-1", "127.0.0.1", port=nodes.ports["rpi-1"]).run("true")


def test_a_host_key_that_nobody_accepted_is_refused(nodes: Nodes, material: Path) -> None:
    (material / "known_hosts").write_text("")
    with pytest.raises(UnknownHost, match="has no host key of rpi-1"):
        Machine("rpi-1", "127.0.0.1", port=nodes.ports["rpi-1"]).run("true")


def test_a_key_that_does_not_open_is_named(nodes: Nodes, material: Path, machine: Machine) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    (material / "id_ed25519").write_bytes(other.export_private_key())
    with pytest.raises(UnknownHost, match="does not let pi in"):
        machine.run("true")


def test_files_are_written_whole_and_for_their_owner_only(machine: Machine) -> None:
    pieces = [bytes([i]) * 40_000 for i in range(100)]
    with machine.files() as files:
        assert files.read("/home/pi/kept/copy") is None
        files.make_private_folder("/home/pi/kept")
        files.write_private("/home/pi/kept/copy.part", iter(pieces))
        files.rename("/home/pi/kept/copy.part", "/home/pi/kept/copy")
        assert files.mode("/home/pi/kept") == 0o700
        assert files.mode("/home/pi/kept/copy") == 0o600
        read = files.read("/home/pi/kept/copy")
        assert read is not None
        assert b"".join(read) == b"".join(pieces)
    words = machine.run("sha256sum", "/home/pi/kept/copy").text.split()
    assert words[0] == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_a_stream_gives_everything_or_raises(machine: Machine) -> None:
    assert sum(map(len, machine.stream("head", "-c", "3000000", "/dev/zero"))) == 3_000_000
    with pytest.raises(CommandFailed, match="ended with status 1"):
        list(machine.stream("sh", "-c", "echo half; exit 1"))
