"""Folders that change in one step."""

from pathlib import Path

from lab.kubelet import atomic
from lab.kubelet.atomic import File


def test_files_are_links_through_one_link_that_is_replaced(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1"), "deep/b": File(b"2", 0o400)})
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "deep/b").read_bytes() == b"2"
    assert (tmp_path / "deep/b").stat().st_mode & 0o777 == 0o400
    first = (tmp_path / "..data").readlink()
    assert atomic.write(tmp_path, {"a": File(b"new")})
    assert (tmp_path / "..data").readlink() != first
    assert (tmp_path / "a").read_bytes() == b"new"


def test_what_is_no_longer_there_vanishes(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1"), "b": File(b"2")})
    atomic.write(tmp_path, {"a": File(b"1")})
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..")) == ["a"]
    assert len(list(tmp_path.glob("..2*"))) == 1


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1")})
    before = (tmp_path / "..data").readlink()
    assert not atomic.write(tmp_path, {"a": File(b"1")})
    assert (tmp_path / "..data").readlink() == before


def test_a_reader_sees_the_old_or_the_new_whole(tmp_path: Path) -> None:
    """What was opened by the old link stays readable while the new one is in place."""
    atomic.write(tmp_path, {"a": File(b"old"), "b": File(b"old")})
    with (tmp_path / "a").open("rb") as reader:
        atomic.write(tmp_path, {"a": File(b"new"), "b": File(b"new")})
        assert reader.read() == b"old"
    assert {(tmp_path / name).read_bytes() for name in "ab"} == {b"new"}
