"""What a run on the route by our own file is going to do: when it plants a canary, and what is not plain yet."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra_ops.models.encryption import IDENTITY, NONE, Key, Providers, Way
from infra_ops.operations.encryption import proof
from infra_ops.operations.encryption.by_file import ByFile
from infra_ops.operations.operation import Request

KEYS = {"key1": Key("key1", b"1" * 32, datetime.now(UTC))}
PLAIN, BOTH, KEY1 = NONE, (IDENTITY, "key1"), ("key1", IDENTITY)


def road(
    monkeypatch: pytest.MonkeyPatch, *lists: Providers, planted: bool, on_disk: Providers = (), disable: bool = False
) -> ByFile:
    """On servers with these lists in force, and on the disk of each without one the list `on_disk`."""
    monkeypatch.setattr(proof, "is_planted", lambda cluster, key: planted)
    names = [f"rpi-{number}" for number in range(1, len(lists) + 1)]
    servers = SimpleNamespace(names=names, machine=lambda name: None, ansible=None, cluster=None)
    keys = SimpleNamespace(all=lambda: KEYS)
    in_force = dict(zip(names, lists, strict=True))
    estate = SimpleNamespace(
        servers=servers,
        keys=keys,
        first="rpi-1",
        all_seen=lambda: {name: SimpleNamespace(providers=in_force[name] or on_disk) for name in names},
        judged=lambda seen: in_force,
    )
    params = {"disable": disable}
    return ByFile(Request("test", params, cast("Any", None)), cast("Any", estate), cast("Any", None))


def steps(road: ByFile, group: str) -> list[str]:
    way = road.wish()
    assert way
    return [f"{each.step.id}: {each.step.after}" for each in road.groups(way)[group]]


@pytest.mark.parametrize("lists", [(PLAIN, PLAIN, PLAIN), (BOTH, PLAIN, PLAIN), (BOTH, BOTH, BOTH)])
def test_a_canary_is_planted_while_all_is_plain(monkeypatch: pytest.MonkeyPatch, lists: tuple[Providers, ...]) -> None:
    plain = road(monkeypatch, *lists, planted=False)
    assert "canary: planted" in steps(plain, "back_up")
    assert steps(plain, "prove")[0] == "proof.rpi-1: no trace of what was before key1"


@pytest.mark.parametrize("lists", [(KEY1, BOTH, BOTH), (KEY1, KEY1, KEY1), (KEY1, KEY1, PLAIN)])
def test_what_was_never_plain_is_not_planted(monkeypatch: pytest.MonkeyPatch, lists: tuple[Providers, ...]) -> None:
    """A marker that only ever was encrypted is found nowhere, whatever else is left."""
    late = road(monkeypatch, *lists, planted=False)
    assert "canary: planted" not in steps(late, "back_up")
    assert steps(late, "prove")[0] == "proof.rpi-1: all values with key1; no canary to search for"


def test_one_that_stands_from_before_is_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a server that was added later, too."""
    assert "before key1" in steps(road(monkeypatch, KEY1, KEY1, PLAIN, planted=True), "prove")[2]


@pytest.mark.parametrize("planted", [True, False])
def test_a_run_goes_the_way_of_its_plan(monkeypatch: pytest.MonkeyPatch, planted: bool) -> None:
    found = road(monkeypatch, KEY1, KEY1, PLAIN, planted=planted)
    way = found.wish()
    found.request = cast("Any", SimpleNamespace(plan=SimpleNamespace(arguments=found.arguments(way))))
    assert isinstance(way, Way)
    assert (found.way(), way.canary) == (way, planted)


def test_a_server_is_not_plain_while_its_keys_lie_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disabling died after the last restart, before it took the keys away."""
    half = road(monkeypatch, PLAIN, PLAIN, PLAIN, planted=False, on_disk=BOTH, disable=True)
    way = half.wish()
    assert way
    assert (way.wish, way.old) == ("disable", "key1")
    assert road(monkeypatch, PLAIN, PLAIN, PLAIN, planted=False, disable=True).wish() is None
    # Who enables finds a server that was given a list and works without it yet: that is how it begins.
    assert cast("Way", road(monkeypatch, PLAIN, PLAIN, PLAIN, planted=False, on_disk=BOTH).wish()).wish == "enable"
