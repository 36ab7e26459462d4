"""The stand-in for K3s' command line says what K3s v1.32 says."""

import json
import re
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from lab.nodes import k3s
from lab.nodes.places import CONFIG, SNAPSHOTS, TOKEN
from tests.lab.nodes.conftest import Nodes


def snapshots(nodes: Nodes, name: str = "rpi-1") -> list[list[str]]:
    lines = nodes.ssh(name, "sudo k3s etcd-snapshot ls").stdout.splitlines()
    assert lines[0].split() == ["Name", "Location", "Size", "Created"]
    return [line.split() for line in lines[1:]]


def test_the_version_has_two_lines(nodes: Nodes) -> None:
    assert nodes.ssh("rpi-1", "k3s --version").stdout == "k3s version v1.32.2+k3s1 (381620ef)\ngo version go1.23.6\n"


def test_a_server_starts_with_48_snapshots_six_hours_apart_the_newest_fresh(nodes: Nodes) -> None:
    rows = [row for row in snapshots(nodes) if row[0].startswith("etcd-snapshot-")]
    taken = [datetime.fromisoformat(row[3]) for row in rows]
    assert len(rows) == 48
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(taken)} == {6 * 3600}
    assert 0 <= (datetime.now(UTC) - taken[-1]).total_seconds() < 6 * 3600
    for name, location, size, created in rows:
        assert name == f"etcd-snapshot-rpi-1-{int(datetime.fromisoformat(created).timestamp())}"
        assert location == f"file:///var/lib/rancher/k3s/server/db/snapshots/{name}"
        assert int(size) > 20_000_000


def test_columns_are_as_wide_as_their_widest_cell(nodes: Nodes) -> None:
    lines = nodes.ssh("rpi-2", "sudo k3s etcd-snapshot ls").stdout.splitlines()
    assert len({line.index("file:///") for line in lines[1:]} | {lines[0].index("Location")}) == 1


def test_json_is_a_list_of_snapshot_files(nodes: Nodes) -> None:
    answer = json.loads(nodes.ssh("rpi-3", "sudo k3s etcd-snapshot ls -o json").stdout)
    assert (answer["apiVersion"], answer["kind"]) == ("v1", "List")
    newest = answer["items"][-1]
    assert (newest["apiVersion"], newest["kind"]) == ("k3s.cattle.io/v1", "ETCDSnapshotFile")
    assert newest["spec"]["nodeName"] == "rpi-3"
    assert newest["status"]["readyToUse"] is True
    assert isinstance(newest["status"]["size"], str)
    hashes = {item["metadata"]["annotations"]["etcd.k3s.cattle.io/snapshot-token-hash"] for item in answer["items"]}
    assert len(hashes) == 1


def test_saving_adds_a_snapshot_named_on_demand(nodes: Nodes) -> None:
    before = {row[0] for row in snapshots(nodes)}
    result = nodes.ssh("rpi-1", "sudo k3s etcd-snapshot save")
    [added] = {row[0] for row in snapshots(nodes)} - before
    assert re.fullmatch(r"on-demand-rpi-1-\d{10}", added)
    assert f'level=info msg="Snapshot {added} saved."' in result.stderr
    nodes.ssh("rpi-1", "sudo k3s etcd-snapshot save --name=before-upgrade")
    assert any(row[0].startswith("before-upgrade-rpi-1-") for row in snapshots(nodes))


@pytest.mark.parametrize(
    ("node", "command", "error"),
    [
        ("rpi-5", "sudo k3s etcd-snapshot ls", "open /var/lib/rancher/k3s/server/token: no such file or directory"),
        ("rpi-1", "k3s etcd-snapshot ls", "open /home/pi/.rancher/k3s/server/token: no such file or directory"),
        ("rpi-1", "sudo k3s etcd-snapshot ls -o xml", "invalid output format: xml"),
        ("rpi-1", "sudo k3s crictl ps", "the lab's stand-in for k3s does not know: k3s crictl ps"),
    ],
    ids=["an agent", "without sudo", "unknown format", "unknown command"],
)
def test_refusals_end_with_code_1_and_a_fatal_log_line(nodes: Nodes, node: str, command: str, error: str) -> None:
    result = nodes.ssh(node, command)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].endswith(f'level=fatal msg="{error}"')


def test_flags_in_the_servers_configuration_are_warned_of_on_stderr(nodes: Nodes) -> None:
    """So whoever parses stdout and stderr together fails in the lab too."""
    result = nodes.ssh("rpi-2", "sudo k3s etcd-snapshot ls")
    assert "Unknown flag --etcd-snapshot-schedule-cron found in config.yaml, skipping" in result.stderr


def test_a_stopped_server_refuses_the_connection(nodes: Nodes) -> None:
    assert nodes.ssh("rpi-2", "sudo systemctl stop k3s").returncode == 0
    assert nodes.ssh("rpi-2", "systemctl is-active k3s").stdout == "inactive\n"
    assert "connect: connection refused" in nodes.ssh("rpi-2", "sudo k3s etcd-snapshot ls").stderr
    assert nodes.ssh("rpi-2", "sudo systemctl start k3s").returncode == 0
    assert nodes.ssh("rpi-2", "sudo k3s etcd-snapshot ls").returncode == 0


def test_each_role_runs_its_own_unit(nodes: Nodes) -> None:
    server = nodes.ssh("rpi-1", "systemctl is-active k3s; systemctl is-active --quiet k3s-agent; echo $?")
    agent = nodes.ssh("rpi-4", "systemctl is-active k3s-agent.service; systemctl is-active k3s; echo $?")
    assert (server.stdout, agent.stdout) == ("active\n3\n", "active\ninactive\n3\n")


def test_token_and_configuration_are_private_and_the_token_is_shared_by_the_servers(nodes: Nodes) -> None:
    servers = [nodes.root / f"rpi-{number}" for number in (1, 2, 3)]
    for path in (TOKEN, CONFIG):
        assert {(server / path).stat().st_mode & 0o777 for server in servers} == {0o600}
    assert len({(server / TOKEN).read_text() for server in servers}) == 1
    assert not (nodes.root / "rpi-4" / TOKEN).exists()


def test_the_49th_scheduled_snapshot_pushes_out_the_oldest_but_never_one_on_demand(tmp_path: Path) -> None:
    start = 1_700_000_000
    k3s.take_snapshot(tmp_path, "on-demand", "rpi-1", start - 5)
    for index in range(50):
        k3s.take_scheduled_snapshot(tmp_path, "rpi-1", start + index * k3s.SNAPSHOT_PERIOD)
    names = sorted(file.name for file in (tmp_path / SNAPSHOTS).iterdir())
    assert len(names) == 49
    assert names[0] == f"etcd-snapshot-rpi-1-{start + 2 * k3s.SNAPSHOT_PERIOD}"
    assert names[-1].startswith("on-demand-")


def test_the_command_starts_fast(nodes: Nodes) -> None:
    """Under 100 ms each; the loop in one session leaves SSH out of the measure."""
    begin = time.monotonic()
    nodes.ssh("rpi-1", "for i in 1 2 3 4 5 6 7 8 9 10; do k3s --version > /dev/null; done")
    assert time.monotonic() - begin < 5  # 50 times less than noticeable, with room for a loaded machine
