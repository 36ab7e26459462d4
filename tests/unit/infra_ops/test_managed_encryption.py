"""What servers say of K3s' own encryption, read and judged, and in which order they are restarted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from infra_ops.checks import managed_encryption as checks
from infra_ops.checks.encryption import Judge
from infra_ops.facts import etcd
from infra_ops.facts import managed_encryption as facts
from infra_ops.models.encryption import NONE
from infra_ops.models.managed_encryption import Managed, made, named, writer
from infra_ops.models.outcomes import Outcome, State
from infra_ops.models.servers import Unit
from infra_ops.operations.encryption import managed
from infra_ops.operations.encryption.estate import Estate, Unsafe

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD, NEW = "aescbc:aescbckey-2025-05-01T10:00:00Z", "aescbc:aescbckey-2026-05-31T09:46:54+02:00"
JUDGE = Judge(NOW, "test")
SEEN = Managed("rpi-1", "reencrypt_finished", "aa", (NEW, "identity"), "aa", "config.yaml", True, Unit("active", 0))
FOUND = {"rpi-1": SEEN, "rpi-2": SEEN, "rpi-3": SEEN}


def test_names_of_keys_hold_their_moment_and_colons() -> None:
    assert made(NEW) == datetime(2026, 5, 31, 7, 46, 54, tzinfo=UTC)
    assert made("aescbc:aescbckey") is None
    assert named(NEW) == ("aescbc", "aescbckey-2026-05-31T09:46:54+02:00")
    assert named(writer("secretbox", "secretboxkey-2026-05-31T09:46:54Z"))[0] == "secretbox"
    assert named("key1") == ("secretbox", "key1")


@pytest.mark.parametrize("key", [NEW, OLD, "aescbc:aescbckey", "key12", "secretboxkey-2026-05-31T09:46:54+02:00"])
def test_a_stored_value_names_the_key_that_the_list_names(key: str) -> None:
    provider, name = named(key)
    start = f"k8s:enc:{provider}:v1:{name}:".encode() + b"\x80-2026-01-01T00:00:00Z:\xff" * 9
    assert etcd._writer(start[:60]) == key


def test_a_list_is_read_without_its_keys() -> None:
    lines = ['"aescbc":', '"name":"aescbckey-2025-05-01T10:00:00Z"', '"name":"aescbckey"', '"identity":']
    assert facts.listed(lines) == (OLD, "aescbc:aescbckey", "identity")
    assert facts.listed(['"identity":', '"secretbox":', '"name":"s"']) == ("identity", "s")
    assert facts.listed([]) == NONE


def test_a_list_is_in_force_once_the_process_was_started_with_it() -> None:
    assert checks.in_force(SEEN) == (NEW, "identity")
    assert checks.in_force(replace(SEEN, in_process=False)) == NONE
    assert checks.in_force(replace(SEEN, listed=())) == "it was started with secrets-encryption and has no list of K3s"
    assert checks.changing(replace(SEEN, noted="bb"))
    assert not checks.changing(replace(SEEN, noted="bb", in_process=False))


def states(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.subject: outcome.reason for outcome in outcomes if outcome.state is not State.PASS}


def test_a_server_that_would_lose_its_keys_at_its_next_start_is_no_sound_one() -> None:
    assert states(checks.sound(JUDGE, FOUND)) == {}
    spoilt = FOUND | {"rpi-2": replace(SEEN, switched_by="")}
    assert states(checks.sound(JUDGE, spoilt)) == {"rpi-2": checks.LOST}
    assert states(checks.same(JUDGE, spoilt, NEW)) == {"rpi-2": checks.LOST}
    plain = {name: replace(SEEN, listed=("identity",), switched_by="") for name in FOUND}
    assert states(checks.sound(JUDGE, plain)) == {}


def test_lists_that_no_rotation_leads_through_are_named() -> None:
    third = replace(SEEN, listed=("aescbc:aescbckey", "identity"))
    found = FOUND | {"rpi-2": replace(SEEN, listed=(OLD, "identity")), "rpi-3": third}
    assert set(states(checks.sound(JUDGE, found)).values()) == {checks.APART}
    del found["rpi-3"]
    assert states(checks.sound(JUDGE, found)) == {}


def test_all_servers_have_the_same_hash_after_a_change() -> None:
    assert states(checks.same(JUDGE, FOUND, NEW)) == {}
    assert set(states(checks.same(JUDGE, FOUND | {"rpi-3": replace(SEEN, noted="bb")}, NEW))) == set(FOUND)
    assert set(states(checks.same(JUDGE, FOUND | {"rpi-3": replace(SEEN, listed=(OLD,))}, NEW))) == {"rpi-3"}


def test_a_key_is_as_old_as_its_name_says() -> None:
    assert checks.young(JUDGE, NEW, NOW).state is State.PASS
    assert checks.young(JUDGE, OLD, NOW).state is State.FAIL
    assert checks.young(JUDGE, "aescbc:aescbckey", NOW).state is State.UNKNOWN
    assert [checks.due(key, NOW) for key in (NEW, OLD, "aescbc:aescbckey")] == [False, True, True]
    assert not checks.due(OLD, NOW - timedelta(days=60))
    assert checks.keys_in_use({"a": (NEW,), "b": ("aescbc:aescbckey",), "c": (OLD,), "d": ("identity",)}) == [
        *("aescbc:aescbckey", OLD, NEW)
    ]


class Machines:
    """An estate whose machines are called as their servers."""

    class servers:
        @staticmethod
        def machine(name: str) -> str:
            return name


def test_no_follower_is_restarted_before_the_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "leads", lambda machine: machine == "rpi-3")
    estate = cast("Estate", Machines)
    assert managed._in_order(estate, "rpi-1", ["rpi-1", "rpi-2", "rpi-3"]) == ["rpi-3", "rpi-1"]
    assert managed._in_order(estate, "rpi-3", ["rpi-1", "rpi-2", "rpi-3"]) == ["rpi-3"]
    assert managed._in_order(estate, "rpi-2", ["rpi-1", "rpi-2"]) == ["rpi-1", "rpi-2"]


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (replace(SEEN, noted="bb"), "its servers have different lists"),
        (replace(SEEN, switched_by=""), "rpi-2 does not work by secrets-encryption: true"),
        (replace(SEEN, in_process=False), "rpi-2 does not work by secrets-encryption: true"),
    ],
)
def test_k3s_is_not_told_to_rotate_while_one_server_would_not_follow(odd: Managed, why: str) -> None:
    managed._refuse_unready(FOUND)
    with pytest.raises(Unsafe, match=why):
        managed._refuse_unready(FOUND | {"rpi-2": odd})
