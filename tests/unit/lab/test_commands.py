"""The commands without a lab that answers."""

from pathlib import Path

import pytest

from lab import commands
from lab.supervisor import lock
from lab.supervisor.sessions import Ledger


def test_no_lab_can_start_while_down_ends_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The services of a lab that started in between are in the same ledger, and would be ended too."""

    def sweep(_: Ledger) -> list[str]:
        with pytest.raises(lock.HeldError), lock.held(tmp_path / "lock"):
            pass
        return ["postgres"]

    monkeypatch.setattr(Ledger, "sweep", sweep)
    commands.down(tmp_path)
    assert capsys.readouterr().out == "Ended what a killed lab had left running: postgres\n"
