"""What is looked at before a lab starts."""

from pathlib import Path

import pytest

from lab import power, up
from lab.seed import cluster
from lab.up import UnusableError
from lab.wish import Wish


def refusal(root: Path) -> str:
    with pytest.raises(UnusableError) as refused:
        up.run(Wish(root), print)
    return str(refused.value)


def test_a_seed_file_that_cannot_be_read_is_named_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = tmp_path / "nodes.yaml"
    monkeypatch.setattr(power, "SEED_FILE", seed)
    for text in (None, "- {name: rpi-1", "- {name: rpi-1}\n", "- 1\n", "nodes"):
        if text is not None:
            seed.write_text(text)
        sentence = refusal(tmp_path / "lab")
        assert str(seed) in sentence
        assert "\n" not in sentence
    assert not (tmp_path / "lab").exists()


def test_a_mistake_in_the_clusters_seed_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = tmp_path / "cluster.yaml"
    seed.write_text("namespaces:\n  a:\n    workloads:\n      - {name: x}\n")
    monkeypatch.setattr(up, "load_seed", lambda: cluster.load(seed))
    sentence = refusal(tmp_path / "lab")
    assert "The seed cannot be used: " in sentence
    assert str(seed) in sentence
    assert "image" in sentence


def test_a_damaged_state_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(up.LabError, match="state.json is damaged .*: remove it"):
        up.run(Wish(tmp_path), print)


def test_a_path_too_long_for_a_unix_socket_is_refused_with_a_way_out(tmp_path: Path) -> None:
    """The kernel allows 108 bytes, macOS 104; its own error would come late and without advice."""
    sentence = refusal(tmp_path / ("x" * 100))
    assert "is too long for the Unix socket in it by" in sentence
    assert "--root" in sentence
