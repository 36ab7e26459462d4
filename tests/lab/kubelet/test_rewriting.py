"""The way without namespaces: what is rewritten, and what must be left alone."""

from pathlib import Path, PurePosixPath

import pytest

from lab.kubelet.enclosures import Command, Mount, Place, Rewriting


@pytest.fixture
def place(tmp_path: Path) -> Place:
    mounts = (Mount(Path("/real/data"), PurePosixPath("/data")), Mount(Path("/real/deep"), PurePosixPath("/data/deep")))
    (tmp_path / "home").mkdir()
    return Place(mounts, tmp_path / "home", "pod", "https://127.0.0.1:1")


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("/data", "/real/data"),
        ("/data/file", "/real/data/file"),
        ("/data/deep/file", "/real/deep/file"),
        ("cat /data/a>/data/b;ls '/data'", "cat /real/data/a>/real/data/b;ls '/real/data'"),
        ("--dir=/data", "--dir=/real/data"),
        ("file:///data/x", "file:///data/x"),
        ("/database", "/database"),
        ("/srv/data", "/srv/data"),
        ("/data.old /data-2", "/data.old /data-2"),
    ],
)
def test_only_whole_mount_paths_are_rewritten(place: Place, text: str, rewritten: str) -> None:
    command = Rewriting(place).starting(Command(("sh", "-c", text), {"ARG": text}))
    assert command.argv[-1] == rewritten
    assert command.environment["ARG"] == rewritten


def test_a_command_without_folder_of_its_own_runs_in_the_home(place: Place) -> None:
    assert Rewriting(place).starting(Command(("true",), {})).cwd == str(place.home)
