"""What a run is going to do, from what is in force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra_ops.models.encryption import NONE, Key, Providers, Way, disabling, enabling, rotating
from infra_ops.models.problems import Refusal
from infra_ops.operations.encryption.wishing import settled, wished

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ONE, TWO = ("key1", "identity"), ("key2", "identity")


def way(*lists: Providers, keys: int = 1, age: int = 10, force: bool = False, disable: bool = False) -> Way | None:
    made = NOW - timedelta(days=age)
    known = {f"key{number}": Key(f"key{number}", b"k" * 32, made) for number in range(1, keys + 1)}
    servers = {f"s{number}": providers for number, providers in enumerate(lists)}
    return wished(servers, known, NOW, force=force, disable=disable)


def test_plain_servers_get_the_first_key_or_the_one_that_was_made_already() -> None:
    assert way(NONE, NONE, keys=0) == enabling("key1")
    assert way(NONE, NONE, keys=2) == enabling("key2")


@pytest.mark.parametrize("lists", [(("identity", "key1"), NONE), (ONE, ("identity", "key1")), (ONE, ONE)])
def test_what_was_begun_goes_on(lists: tuple[Providers, ...]) -> None:
    assert way(*lists) == enabling("key1")


def test_a_key_that_is_a_year_old_is_rotated_and_a_younger_one_when_somebody_says_so() -> None:
    assert way(ONE, ONE, age=365) == enabling("key1")
    assert way(ONE, ONE, age=366) == rotating("key1", "key2")
    assert way(ONE, ONE, force=True) == rotating("key1", "key2")


@pytest.mark.parametrize(
    "lists", [(ONE, ONE), (("key1", "key2", "identity"), ONE), (TWO, ("key2", "key1", "identity"))]
)
def test_a_rotation_that_was_begun_goes_on_however_young_its_key_is(lists: tuple[Providers, ...]) -> None:
    assert way(*lists, keys=2, age=0) == rotating("key1", "key2")


def test_disabling_leads_back_and_is_nothing_to_do_where_all_is_plain() -> None:
    assert way(ONE, ONE, disable=True) == disabling("key1")
    assert way(("identity", "key1"), NONE, disable=True) == disabling("key1")
    assert way(NONE, NONE, disable=True) is None


def test_wishes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(Refusal, match="contradict each other"):
        way(ONE, force=True, disable=True)
    with pytest.raises(Refusal, match="A rotation from key1 to key2 is under way"):
        way(("key1", "key2", "identity"), ONE, keys=2, disable=True)


def test_servers_are_settled_when_all_write_with_one_key() -> None:
    assert settled({"a": ONE, "b": ONE}) == "key1"
    assert settled({"a": ONE, "b": TWO}) == ""
    assert settled({"a": ("identity", "key1")}) == ""
    assert settled({"a": NONE}) == ""
