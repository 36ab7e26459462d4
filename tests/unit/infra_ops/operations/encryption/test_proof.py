"""When a search of a snapshot is a proof, and when it is none."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from infra_ops.clients.kubernetes import ClusterError
from infra_ops.clients.ssh import Answer
from infra_ops.models.encryption import IDENTITY
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

    def __init__(self, canary: bool = True) -> None:
        self.notes: dict[str, str] = {}
        self.canary = canary
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


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is taken for the new snapshot."""
    monkeypatch.setattr(proof, "refuse_lost_quorum", lambda servers, server: None)
    monkeypatch.setattr(proof, "_compact", lambda machine: None)
    monkeypatch.setattr(proof, "_snapshot", lambda machine, key: str(tmp_path / "snapshot"))
    return tmp_path / "snapshot"


def prove(estate: FakeEstate, old: str = IDENTITY) -> dict[str, str]:
    """What is noted in the end."""
    effects = cast("Any", type("Effects", (), {"do": lambda self, step, what, write: write()}))()
    for action in proof.proved(cast("Estate", estate), old, lambda: "key1", "key1"):
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
    with pytest.raises(
        NotSearched, match=rf"proves nothing: not even {KEY.decode()} .*etcd-snapshot-compress"
    ):
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
