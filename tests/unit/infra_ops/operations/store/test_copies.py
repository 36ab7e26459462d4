"""The snapshots as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra_ops.clients.vault import StoreError
from infra_ops.operations.store.copies import VARIABLE, Copies


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copies:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return Copies()


def test_what_a_broken_snapshot_left_goes_with_the_next_one(copies: Copies, tmp_path: Path) -> None:
    """Each would keep the size of a whole store on the volume of the copies, for ever."""

    def breaks_off(file: Path) -> None:
        file.write_text("half")
        raise StoreError("it does not answer")

    with pytest.raises(StoreError):
        copies.keep("run/1", breaks_off)
    assert copies.all() == []
    copies.keep("run/2", lambda file: file.write_text("whole") and None)
    assert [file.read_text() for file in (tmp_path / "openbao").iterdir()] == ["whole"]
