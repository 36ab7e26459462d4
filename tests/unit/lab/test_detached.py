"""What a start in the background passes on of the lab's log while it is being written."""

from pathlib import Path

from lab import detached


def test_a_line_is_passed_on_only_when_it_is_complete(tmp_path: Path) -> None:
    """The lab may be in the middle of a line, or of a letter."""
    log = tmp_path / "lab.log"
    whole = "a naïve line\n".encode()
    with log.open("ab", buffering=0) as output, log.open("rb") as written:
        output.write(b"first\n" + whole[:5])  # ends within the ï
        assert list(detached.new_lines(written, ended=False)) == ["first"]
        output.write(whole[5:])
        assert list(detached.new_lines(written, ended=False)) == ["a naïve line"]


def test_of_a_lab_that_has_ended_the_last_line_may_be_cut(tmp_path: Path) -> None:
    log = tmp_path / "lab.log"
    log.write_bytes(b"killed at \xe2\x80")
    with log.open("rb") as written:
        assert list(detached.new_lines(written, ended=True)) == ["killed at \N{REPLACEMENT CHARACTER}"]
