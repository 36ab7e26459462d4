"""`python -m infra_ops adopt`: today's value goes into the store once it has logged in, and shows up nowhere."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml

from infra_ops.__main__ import main
from infra_ops.operations import adopting
from tests.lab.rotation.stage import OLD_PASSWORD, Stage


@pytest.fixture
def unmanaged(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A login that nobody has adopted, in an inventory of its own."""
    stage.kv.delete(f"svc/{stage.name}")
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(stage.inventory.model_dump()))
    monkeypatch.setenv("INFRA_OPS_INCLUDE", str(tmp_path))
    monkeypatch.setattr(adopting, "Kv", lambda *_: stage.kv)
    return stage


def adopt(words: list[str], typed: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return main(["adopt", *words])


def test_a_person_types_the_login(
    unmanaged: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt([unmanaged.name], f"{unmanaged.name}\n{OLD_PASSWORD}\n", monkeypatch) == 0
    stored = unmanaged.kv.read(f"svc/{unmanaged.name}")
    assert stored is not None
    assert (stored.credential.username, stored.credential.password) == (unmanaged.name, OLD_PASSWORD)
    assert OLD_PASSWORD not in "".join(capsys.readouterr())
    unmanaged.rotate()
    assert unmanaged.end_state()["version"] == 2


def test_a_wrong_login_is_not_stored(
    unmanaged: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt([unmanaged.name], f"{unmanaged.name}\nwrong\n", monkeypatch) == 1
    assert "does not accept this login" in capsys.readouterr().err
    assert unmanaged.kv.read(f"svc/{unmanaged.name}") is None


def test_the_password_can_come_from_a_secret(unmanaged: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    unmanaged.api.create(
        f"/api/v1/namespaces/{unmanaged.namespace}/secrets",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "login"},
            "stringData": {"password": OLD_PASSWORD},
        },
    )
    words = [unmanaged.name, "--username", unmanaged.name, "--secret", f"{unmanaged.namespace}/login/password"]
    assert adopt(words, "", monkeypatch) == 0
    assert unmanaged.kv.read(f"svc/{unmanaged.name}") is not None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nonsense", "--username", "x"], "The inventory knows no 'nonsense'; it knows: "),
        (["{name}", "--username", "x", "--secret", "default/x"], "'default/x' names no key of a Secret"),
        (["{name}", "--username", "x", "--secret", "{namespace}/database/nokey"], "has no key 'nokey'; it has: URL."),
    ],
)
def test_a_slip_is_one_clear_sentence(
    unmanaged: Stage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    filled = [word.format(name=unmanaged.name, namespace=unmanaged.namespace) for word in words]
    assert adopt(filled, "secret\n", monkeypatch) == 1
    assert sentence in capsys.readouterr().err
