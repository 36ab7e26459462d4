"""When a search of a snapshot is a proof, and when it is none."""

from __future__ import annotations

import gzip
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from infra_ops.checks.encryption import Judge
from infra_ops.clients.kubernetes import ClusterError
from infra_ops.clients.ssh import Answer
from infra_ops.models.encryption import IDENTITY
from infra_ops.models.outcomes import State
from infra_ops.operations.encryption import proof
from infra_ops.operations.encryption.estate import Estate
from infra_ops.operations.encryption.proof import CANARY, MARKER, NAMESPACE, NotSearched, TraceLeft

KEY = f"/registry/secrets/{NAMESPACE}/{CANARY}".encode()
ENCRYPTED = b"k8s:enc:secretbox:v1:key1:\xff\x00\n"


class FakeMachine:
    """A server whose commands are those of this machine; nothing is compacted."""

    name = "rpi-1"

    def ask(self, *command: str, seconds: int = 60, stdin: bytes = b"") -> Answer:
        done = subprocess.run(command[1:], input=stdin, capture_output=True)
        return Answer(done.returncode, done.stdout, done.stderr)

    def run(self, *command: str, seconds: int = 60) -> Answer:
        return Answer(0, b"", b"")


class FakeEstate:
    """As far as it is asked here."""

    def __init__(self, canary: bool = True, used: dict[str, int] | None = None) -> None:
        self.notes: dict[str, str] = {}
        self.canary, self.used = canary, used or {}
        self.keys = self.servers = self.cluster = cast("Any", self)
        self.names = ["rpi-1"]

    def machine(self, server: str) -> FakeMachine:
        return FakeMachine()

    def get(self, path: str) -> dict[str, Any]:
        if not self.canary:
            raise ClusterError("not found", 404)
        return {"metadata": {"annotations": {MARKER: "0a1b2c"}}}

    def noted(self) -> dict[str, str]:
        return self.notes

    def note(self, server: str, name: str) -> None:
        self.notes[server] = name

    def written(self, server: str) -> dict[str, int]:
        return self.used


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is taken for the new snapshot."""
    monkeypatch.setattr(proof, "refuse_lost_quorum", lambda servers, server: None)
    monkeypatch.setattr(proof, "_compact", lambda machine: None)
    monkeypatch.setattr(proof, "_snapshot", lambda machine, key: str(tmp_path / "snapshot"))
    return tmp_path / "snapshot"


def prove(estate: FakeEstate, old: str = IDENTITY, **more: bool) -> dict[str, str]:
    """What is noted in the end."""
    effects = cast("Any", type("Effects", (), {"do": lambda self, step, what, write: write()}))()
    for action in proof.proved(cast("Estate", estate), old, lambda: "key1", "key1", **more):
        action.do(effects)
        assert action.look() == action.step.after
    return estate.notes


def test_a_marker_that_is_gone_is_a_proof(snapshot: Path) -> None:
    snapshot.write_bytes(KEY + ENCRYPTED)
    assert prove(FakeEstate()) == {"rpi-1": "key1"}


def test_a_marker_that_is_left_is_none(snapshot: Path) -> None:
    snapshot.write_bytes(KEY + ENCRYPTED + b"0a1b2c")
    with pytest.raises(TraceLeft, match="has 1 traces of the state before"):
        prove(FakeEstate())


def test_a_compressed_snapshot_proves_nothing(snapshot: Path) -> None:
    snapshot.write_bytes(gzip.compress(KEY + ENCRYPTED + b"0a1b2c"))
    with pytest.raises(NotSearched, match=rf"proves nothing: not even {KEY.decode()} .*etcd-snapshot-compress"):
        prove(FakeEstate())
    with pytest.raises(NotSearched, match="not even /registry/secrets/ is found"):
        prove(FakeEstate(), old="key0")


def test_a_snapshot_that_is_gone_proves_nothing(snapshot: Path) -> None:
    with pytest.raises(NotSearched, match=rf"{snapshot} on rpi-1 cannot be searched: grep: .*No such file"):
        prove(FakeEstate())


def test_after_a_rotation_the_old_keys_beginning_is_searched_for(snapshot: Path) -> None:
    snapshot.write_bytes(KEY + ENCRYPTED)
    assert prove(FakeEstate(canary=False), old="key0") == {"rpi-1": "key1"}
    snapshot.write_bytes(KEY + ENCRYPTED + b"k8s:enc:secretbox:v1:key0:")
    with pytest.raises(TraceLeft, match="has 1 traces"):
        prove(FakeEstate(), old="key0")


def test_without_a_canary_from_before_only_what_was_read_is_noted(snapshot: Path) -> None:
    estate = FakeEstate(canary=False, used={"key1": 3})
    assert prove(estate, canary=False) == {"rpi-1": "key1, without a canary"}
    with pytest.raises(TraceLeft, match="not written with key1: 2 with identity"):
        prove(FakeEstate(canary=False, used={"key1": 3, IDENTITY: 2}), canary=False)
    assert not snapshot.exists()
    (weak,) = Judge(datetime.now(UTC), "run").proved(estate.notes, ["rpi-1"], "key1")
    assert weak.state is State.PASS
    assert "all values of its compacted member with key1, saw read so for key1, without a canary" in weak.sentence()
    (none,) = Judge(datetime.now(UTC), "run").proved(estate.notes, ["rpi-1"], "key2")
    assert none.state is State.FAIL


def test_a_proof_by_a_canary_counts_where_it_is_gone_since(snapshot: Path) -> None:
    estate = FakeEstate(canary=False)
    (action,) = proof.proved(cast("Estate", estate), IDENTITY, lambda: "key1", "key1", canary=False)
    assert action.look() == action.step.before
    estate.notes = {"rpi-1": "key1"}
    assert action.look() == action.step.after


def test_a_weak_proof_does_not_count_where_a_canary_stands(snapshot: Path) -> None:
    estate = FakeEstate()
    estate.notes = {"rpi-1": "key1, without a canary"}
    (action,) = proof.proved(cast("Estate", estate), IDENTITY, lambda: "key1", "key1")
    assert action.look() == action.step.before
