"""SFTP and SCP see the node's files where a command on the node sees them."""

import subprocess
from pathlib import Path

import pytest

from tests.lab.nodes.conftest import Nodes


def test_a_file_put_by_sftp_is_where_a_command_finds_it(nodes: Nodes) -> None:
    with nodes.connect("rpi-2") as client, client.open_sftp() as sftp:
        with sftp.open("/etc/infra-ops.conf", "w") as file:
            file.write("of the node")
        sftp.chmod("/etc/infra-ops.conf", 0o640)
        assert sftp.stat("/etc/infra-ops.conf").st_mode & 0o777 == 0o640
        _, stdout, _ = client.exec_command("cat /etc/infra-ops.conf")
        assert stdout.read() == b"of the node"
    assert not Path("/etc/infra-ops.conf").exists()


def test_relative_paths_start_in_the_users_home(nodes: Nodes) -> None:
    with nodes.connect("rpi-2") as client, client.open_sftp() as sftp:
        assert sftp.normalize(".") == "/home/pi"
        sftp.open("note", "w").close()
        assert "note" in sftp.listdir("/home/pi")


def test_sftp_does_not_leave_the_nodes_folder(nodes: Nodes) -> None:
    with nodes.connect("rpi-2") as client, client.open_sftp() as sftp:
        assert sftp.normalize("/../../..") == "/"
        with pytest.raises(FileNotFoundError):
            sftp.stat(f"../../../../../../../..{nodes.key}")


@pytest.mark.parametrize("protocol", [[], ["-O"]], ids=["scp over sftp", "scp as it was"])
def test_scp_copies_there_and_back(nodes: Nodes, tmp_path: Path, protocol: list[str]) -> None:
    (tmp_path / "there").write_text("copied")
    scp = ["scp", *protocol, *nodes.ssh_options(nodes.known_hosts()), "-P", str(nodes.ports["rpi-2"])]
    subprocess.run([*scp, str(tmp_path / "there"), "pi@127.0.0.1:/opt/copy"], check=True, timeout=60)
    subprocess.run([*scp, "pi@127.0.0.1:/opt/copy", str(tmp_path / "back")], check=True, timeout=60)
    assert (tmp_path / "back").read_text() == "copied"
