"""include/cluster.yaml is valid, and whatever breaks in it is named in one sentence."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from infra_ops.models.documents import DocumentError, parse
from infra_ops.models.inventory import Inventory

TEXT = (Path(__file__).resolve().parents[4] / "include" / "cluster.yaml").read_text()
TREE = yaml.safe_load(TEXT)
# Values that fit no field of the inventory: a wrong type for each, and the wrong kind of text.
RUBBISH = [None, -1, 3.5, True, "", "NO SUCH NAME !", [], ["x", 7], {"surprise": 1}]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document below its root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from places(child, (*path, key))


PLACES = list(places(TREE))


def parsed(tree: Any) -> Inventory:
    return parse(yaml.safe_dump(tree, sort_keys=False), Inventory, "cluster.yaml")


def changed(path: tuple[Any, ...], value: Any) -> Any:
    tree = copy.deepcopy(TREE)
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return tree


def assert_one_clear_sentence(error: DocumentError) -> None:
    text = str(error)
    assert text.startswith("cluster.yaml, line ")
    assert text.endswith(".")
    assert "\n" not in text
    assert "pydantic" not in text
    assert len(text) < 500


def test_the_inventory_of_the_project_is_valid() -> None:
    inventory = parse(TEXT, Inventory, "include/cluster.yaml")
    assert set(inventory.rotated()) >= {"postgres_appuser", "flower_celery", "flower_financial_screener"}


@settings(max_examples=400, deadline=None)
@given(place=st.sampled_from(PLACES), rubbish=st.sampled_from(RUBBISH))
def test_whatever_is_broken_gives_one_clear_sentence(place: tuple[Any, ...], rubbish: Any) -> None:
    """Where rubbish happens to be allowed (an optional list emptied, say) the document must simply be read."""
    try:
        parsed(changed(place, rubbish))
    except DocumentError as error:
        assert_one_clear_sentence(error)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_every_field_refuses_something(place: tuple[Any, ...]) -> None:
    """No field takes just anything: a mapping with an unknown key stands nowhere in the inventory."""
    with pytest.raises(DocumentError) as caught:
        parsed(changed(place, {"surprise": [{"x": 1.5}]}))
    assert_one_clear_sentence(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (
            ("credentials", "postgres_appuser", "target", "admin"),
            "root",
            "names 'root', which is none of: postgres_admin",
        ),
        (
            ("credentials", "postgres_appuser", "target", "users"),
            ["app_owner", "x"],
            "owner and the two users must be three different roles",
        ),
        (
            ("credentials", "flower_celery", "consumers", 0, "secret", "namespace"),
            "nowhere",
            "has a consumer in namespace 'nowhere', which namespaces does not list",
        ),
        (
            ("credentials", "flower_celery", "consumers", 0, "secret", "fields"),
            {"a": "{user}"},
            "fields.a may hold {username}, {password} and {password_url} and no other braces",
        ),
        (
            ("credentials", "flower_celery", "consumers", 0, "secret", "fields"),
            {"a": "{username}"},
            "no field takes {password}, so this is no copy of the credential",
        ),
        (("nodes", 1, "name"), "rpi-1", "two nodes have the same name"),
    ],
)
def test_what_the_schema_cannot_say_is_said_too(place: tuple[Any, ...], value: Any, sentence: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parsed(changed(place, value))
    assert sentence in str(caught.value)
    assert_one_clear_sentence(caught.value)
