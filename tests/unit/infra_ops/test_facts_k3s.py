from datetime import UTC, datetime

import pytest

from infra_ops.facts.k3s import UnreadableOutput, api_version, parse_snapshots, parse_version
from infra_ops.models.k3s import Snapshot

FOLDER = "file:///var/lib/rancher/k3s/server/db/snapshots"
TABLE = f"""\
Name                           Location                                     Size    Created
etcd-snapshot-rpi-1-1763877600 {FOLDER}/etcd-snapshot-rpi-1-1763877600 7340064 2026-11-23T06:00:00Z
etcd-snapshot-rpi-1-1763899200 {FOLDER}/etcd-snapshot-rpi-1-1763899200 7344160 2026-11-23T12:00:00Z
"""


def test_the_version_is_the_third_word_of_the_first_line() -> None:
    assert parse_version("k3s version v1.32.2+k3s1 (381620ef)\ngo version go1.23.6\n") == "v1.32.2+k3s1"


def test_another_program_in_place_of_k3s_is_not_taken_for_a_version() -> None:
    with pytest.raises(UnreadableOutput, match=r"`k3s --version` printed 'v1\.32"):
        parse_version("v1.32.2+k3s1")


def test_snapshots_come_newest_first_with_size_and_zoned_time() -> None:
    newest, oldest = parse_snapshots(TABLE)
    assert newest == Snapshot(
        "etcd-snapshot-rpi-1-1763899200",
        f"{FOLDER}/etcd-snapshot-rpi-1-1763899200",
        7344160,
        datetime(2026, 11, 23, 12, tzinfo=UTC),
    )
    assert oldest.created == datetime(2026, 11, 23, 6, tzinfo=UTC)


def test_a_table_without_rows_is_no_snapshot() -> None:
    assert parse_snapshots("Name Location Size Created\n") == []


@pytest.mark.parametrize("text", ["", "FATA[0000] flag provided but not defined\n"])
def test_what_is_no_table_is_refused(text: str) -> None:
    """An empty answer must not be read as 'there are no snapshots'."""
    with pytest.raises(UnreadableOutput, match="not its table"):
        parse_snapshots(text)


def test_a_row_that_is_cut_short_is_refused() -> None:
    with pytest.raises(UnreadableOutput, match="the row 'etcd-snapshot-1 file:///x'"):
        parse_snapshots("Name Location Size Created\netcd-snapshot-1 file:///x\n")


def test_the_api_version_is_the_git_version() -> None:
    class Cluster:
        def get(self, path: str) -> dict[str, str]:
            return {"/version": {"gitVersion": "v1.32.2+k3s1", "major": "1"}}[path]

    assert api_version(Cluster()) == "v1.32.2+k3s1"  # type: ignore[arg-type]
