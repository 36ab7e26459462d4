"""What a person at the terminal is asked for, and when."""

from __future__ import annotations

import getpass

import pytest

from infra_ops.__main__ import main


def refuse_to_ask(question: str = "") -> str:
    raise AssertionError(f"a person was asked {question!r}")


@pytest.mark.parametrize("more", [[], ["--username", "x"], ["--secret", "celery/database/DATABASE_URL"]])
def test_an_unknown_id_is_told_before_anything_is_asked(
    more: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", refuse_to_ask)
    monkeypatch.setattr("builtins.input", refuse_to_ask)
    assert main(["adopt", "pihole", *more]) == 1
    said = capsys.readouterr().err
    assert said.startswith("adopt failed: The inventory knows no 'pihole'; it knows: postgres_admin, ")
    assert said.endswith("airflow_admin.\n")
