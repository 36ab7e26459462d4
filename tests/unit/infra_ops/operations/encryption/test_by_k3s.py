"""What a run is going to do where K3s makes the keys, and which server it must leave alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from infra_ops.facts import etcd
from infra_ops.models.encryption import IDENTITY
from infra_ops.models.managed_encryption import Managed, ManagedWay
from infra_ops.models.problems import Refusal
from infra_ops.models.servers import Unit
from infra_ops.operations.encryption import by_k3s, managed
from infra_ops.operations.encryption.by_k3s import ByK3s
from infra_ops.operations.encryption.copies import OffCluster
from infra_ops.operations.encryption.estate import Estate, Unsafe
from infra_ops.operations.operation import Request

TODAY = f"aescbc:aescbckey-{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
LATELY = f"aescbc:aescbckey-{datetime.now(UTC) - timedelta(days=9):%Y-%m-%dT%H:%M:%SZ}"
AGED = f"aescbc:aescbckey-{datetime.now(UTC) - timedelta(days=367):%Y-%m-%dT%H:%M:%SZ}"
SERVERS = ["rpi-1", "rpi-2", "rpi-3"]
FIRST = "aescbc:aescbckey"  # of a cluster that was installed with encryption


def seen(server: str, key: str) -> Managed:
    listed = () if not key else (IDENTITY,) if key == IDENTITY else (key, IDENTITY)
    return Managed(server, "start", "aa", listed, "aa", "config.yaml", bool(key), Unit("active", 4e9))


@dataclass
class FakeEstate:
    """As far as it is asked here."""

    before: str = ""
    proved: str = ""
    used: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = cast("Any", type("Keys", (), {}))
        self.keys.before = lambda: self.before
        self.keys.noted = lambda: dict.fromkeys(SERVERS, self.proved) if self.proved else {}
        self.servers = cast("Any", type("Servers", (), {"names": SERVERS, "cluster": None}))
        self.servers.machine = lambda name: name

    def written(self, server: str) -> dict[str, int]:
        return self.used


def way(
    monkeypatch: pytest.MonkeyPatch, *keys: str, before: str = "", proved: str = "", canary: bool = True, **params: bool
) -> ManagedWay | None:
    found = {server: seen(server, key) for server, key in zip(SERVERS, keys, strict=True)}
    monkeypatch.setattr(managed, "look_at_all", lambda estate: found)
    monkeypatch.setattr(managed, "reader", lambda estate: None)
    monkeypatch.setattr(by_k3s.proof, "is_planted", lambda cluster, key: canary)
    estate = cast("Estate", FakeEstate(before, proved))
    return ByK3s(Request("test", params, cast("Any", None)), estate, cast("OffCluster", None)).wish()


def test_plain_servers_get_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for keys in (("", "", ""), (IDENTITY, "", ""), (IDENTITY, IDENTITY, IDENTITY)):
        assert way(monkeypatch, *keys, canary=False) == ManagedWay(IDENTITY, canary=True)


def test_what_was_begun_is_ended_before_anything_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    enabling, rotating = ManagedWay(IDENTITY, canary=True), ManagedWay(LATELY, canary=True)
    assert way(monkeypatch, TODAY, IDENTITY, IDENTITY, before=IDENTITY, force=True) == enabling
    assert way(monkeypatch, TODAY, TODAY, TODAY, before=IDENTITY, force=True) == enabling
    assert way(monkeypatch, LATELY, TODAY, LATELY, before=LATELY, proved=LATELY, force=True) == rotating
    assert way(monkeypatch, TODAY, TODAY, TODAY, before=LATELY, proved=LATELY, force=True) == rotating


def test_a_key_is_rotated_when_it_is_due_or_somebody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    settled = ManagedWay(IDENTITY, canary=True)
    assert way(monkeypatch, LATELY, LATELY, LATELY, before=IDENTITY, proved=LATELY) == settled
    assert way(monkeypatch, *[LATELY] * 3, before=IDENTITY, proved=LATELY, force=True) == ManagedWay(LATELY, True)
    assert way(monkeypatch, *[AGED] * 3, before=IDENTITY, proved=AGED) == ManagedWay(AGED, True)
    assert way(monkeypatch, *[FIRST] * 3, canary=False) == ManagedWay(FIRST, False)
    # Noted and then killed before K3s was told: nothing is under way.
    assert way(monkeypatch, *[LATELY] * 3, before=LATELY, proved=LATELY) == settled


def test_leading_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal, match=r"its way back to plain values is not carried out.*Disable"):
        way(monkeypatch, TODAY, TODAY, TODAY, disable=True)
    assert way(monkeypatch, "", "", IDENTITY, disable=True) is None


def follow(monkeypatch: pytest.MonkeyPatch, server: str, used: dict[str, int]) -> list[str]:
    """rpi-3 leads and rpi-1 has rotated: who is restarted, in which order."""
    found = {"rpi-1": seen("rpi-1", TODAY), "rpi-2": seen("rpi-2", AGED), "rpi-3": seen("rpi-3", AGED)}
    found["rpi-1"] = replace(found["rpi-1"], unit=Unit("active", 0))
    started: list[str] = []
    monkeypatch.setattr(managed, "look_at_all", lambda estate: found)
    monkeypatch.setattr(etcd, "leads", lambda machine: machine == "rpi-3")
    monkeypatch.setattr(managed, "_start_with", lambda estate, name, listed, write: started.append(name))
    action = managed._followed(cast("Estate", FakeEstate(used=used)), ManagedWay(AGED, False), server)
    action.do(cast("Any", None))
    return started


def test_the_leader_comes_first_and_the_one_that_reads_already_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert follow(monkeypatch, "rpi-2", {TODAY: 5}) == ["rpi-3", "rpi-2"]
    assert follow(monkeypatch, "rpi-1", {TODAY: 5}) == ["rpi-3", "rpi-2", "rpi-1"]
    assert managed._teller(cast("Estate", FakeEstate())) == "rpi-1"


def test_a_server_that_alone_reads_a_secret_is_not_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unsafe, match=rf"rpi-3 is not restarted: 1 Secrets are written with {AGED}, .* again on rpi-1"):
        follow(monkeypatch, "rpi-2", {TODAY: 5, AGED: 1})
