"""The files under include/, read from wherever INFRA_OPS_INCLUDE says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra_ops import include
from infra_ops.models.documents import DocumentError

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the inventory that the environment names."""
    file = tmp_path / "cluster.yaml"
    file.write_text((PROJECT / "include" / "cluster.yaml").read_text())
    monkeypatch.setenv("INFRA_OPS_INCLUDE", str(tmp_path))
    return file


def unattended(file: Path, dag: str) -> None:
    before = file.read_text()
    after = re.sub(r"^unattended: \[.*\]$", f"unattended: [{dag}]", before, flags=re.MULTILINE)
    assert after != before
    file.write_text(after)


def test_a_runbook_may_run_unattended(elsewhere: Path) -> None:
    unattended(elsewhere, "rotate_credentials")
    assert include.inventory().unattended == ["rotate_credentials"]


def test_an_unattended_runbook_that_is_no_dag_is_named(elsewhere: Path) -> None:
    """It would only plan for ever, and look well."""
    unattended(elsewhere, "rotate_credential")
    with pytest.raises(DocumentError) as caught:
        include.inventory()
    known = ", ".join(sorted(file.stem for file in (PROJECT / "dags").rglob("*.py")))
    assert str(caught.value) == f"{elsewhere}: unattended names rotate_credential, which is none of: {known}."


def test_where_no_dags_are_nobody_asks_for_them(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unattended(elsewhere, "rotate_credential")
    monkeypatch.setattr(include, "DAGS", elsewhere.parent / "dags")
    assert include.inventory().unattended == ["rotate_credential"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the one of another folder instead: that would be another cluster's."""
    monkeypatch.setenv("INFRA_OPS_INCLUDE", str(tmp_path))
    with pytest.raises(DocumentError, match=r"cluster\.yaml cannot be read: No such file or directory\."):
        include.inventory()
