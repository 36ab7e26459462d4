"""Field sets: reading them from objects, storing them, comparing objects by them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.apiserver.fields import (
    Path,
    compare,
    field_set,
    from_fields_v1,
    remove,
    text,
    to_fields_v1,
    with_parents,
)
from lab.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]

elements = (
    st.text(min_size=1, max_size=4).map(lambda name: f"f:{name}")
    | st.sampled_from(['k:{"name":"a"}', 'k:{"containerPort":80,"protocol":"TCP"}', 'v:"x"', "v:1", "i:0"])
)  # fmt: skip
paths = st.frozensets(st.lists(elements, min_size=1, max_size=4).map(tuple), max_size=8)


@given(paths)
def test_a_set_survives_storing(members: frozenset[Path]) -> None:
    assert from_fields_v1(to_fields_v1(members)) == members


def test_the_stored_form_is_that_of_managed_fields() -> None:
    members = {("f:spec", "f:ports"), ("f:spec", "f:ports", 'k:{"port":80}'), ("f:spec", "f:type")}
    assert to_fields_v1(members) == {"f:spec": {"f:ports": {".": {}, 'k:{"port":80}': {}}, "f:type": {}}}


def test_keys_of_other_writers_are_read_in_any_spelling() -> None:
    """The order of keys and the spaces inside an element depend on who wrote it."""
    stored = {"f:ports": {'k:{"protocol": "TCP", "port": 80}': {}}}
    assert from_fields_v1(stored) == {("f:ports", 'k:{"port":80,"protocol":"TCP"}')}


@pytest.mark.parametrize("tree", [{"spec": {}}, {"x:spec": {}}, {"f:spec": 1}, {"k:{": {}}])
def test_what_is_no_field_set_is_refused(tree: Any) -> None:
    with pytest.raises(ValueError, match="managed field|Expecting"):
        from_fields_v1(tree)


def test_a_path_is_shown_as_people_write_it() -> None:
    path = ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name")
    assert text(path) == '.spec.ports[port=80,protocol="TCP"].name'
    assert text(("f:metadata", "f:finalizers", 'v:"a"')) == '.metadata.finalizers[="a"]'


def test_the_schema_says_what_is_one_field(schemas: Schemas, widget: Schema) -> None:
    spec = {
        "size": 1,
        "tags": ["a", "b"],
        "parts": [{"name": "x", "weight": 2}],
        "where": {"room": "r", "shelf": "s"},
        "free": {"list": [1, 2], "map": {"a": {}}},
        "labels": {"l": "1"},
    }
    assert {text(path) for path in field_set(schemas, widget, {"spec": spec})} == {
        ".spec.size",
        '.spec.tags[="a"]',
        '.spec.tags[="b"]',
        '.spec.parts[name="x",side="left"]',
        '.spec.parts[name="x",side="left"].name',
        '.spec.parts[name="x",side="left"].weight',
        ".spec.where",
        ".spec.free.list",
        ".spec.free.map",
        ".spec.free.map.a",
        ".spec.labels.l",
    }


def test_the_default_of_a_key_counts_as_the_key(schemas: Schemas, deployment: Schema, web: Object) -> None:
    """Otherwise a port that says TCP and one that leaves it out would be two ports."""
    (container,) = web["spec"]["template"]["spec"]["containers"]
    said = field_set(schemas, deployment, {**web, "status": None})
    container["ports"][0]["protocol"] = "TCP"
    saying = field_set(schemas, deployment, {**web, "status": None})
    place = '.spec.template.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"]'
    assert place in {text(path) for path in said}
    assert {text(path) for path in saying - said} == {f"{place}.protocol"}


def differences(schemas: Schemas, schema: Schema | None, old: Any, new: Any) -> dict[str, set[str]]:
    found = compare(schemas, schema, old, new)
    return {
        name: {text(path) for path in members}
        for name, members in (("removed", found.removed), ("modified", found.modified), ("added", found.added))
        if members
    }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"size": 1}, {"size": 1}, {}),
        ({"size": 1}, {"size": 2}, {"modified": {".size"}}),
        ({"free": {"a": 1}}, {"free": {"a": True}}, {"modified": {".free.a"}}),
        ({}, {"labels": {"a": "1"}}, {"added": {".labels", ".labels.a"}}),
        ({"labels": {"a": "1"}}, {"labels": {}}, {"removed": {".labels.a"}}),
        ({"labels": {}}, {}, {"removed": {".labels"}}),
        ({"where": {"room": "a"}}, {"where": {"room": "a", "shelf": "b"}}, {"modified": {".where"}}),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, {}),
        ({"tags": ["a"]}, {"tags": ["b"]}, {"removed": {'.tags[="a"]'}, "added": {'.tags[="b"]'}}),
        (
            {"parts": [{"name": "x", "weight": 1}]},
            {"parts": [{"name": "x", "side": "left", "weight": 2}]},
            {
                "modified": {'.parts[name="x",side="left"].weight'},
                "added": {'.parts[name="x",side="left"].side'},
            },
        ),
        ({"free": {"a": 1}}, {"free": {"a": [1]}}, {"modified": {".free.a"}}),
        ({"free": {"a": {"b": 1}}}, {"free": {"a": 1}}, {"modified": {".free.a"}}),
        (
            {"parts": [{"name": "x"}]},
            {"parts": [{"name": "x"}, {"name": "x"}]},
            {"added": {'.parts[name="x",side="left"]'}},
        ),
        (
            {"parts": [{"name": "x"}, {"name": "x"}]},
            {"parts": [{"name": "x"}, {"name": "x", "weight": 2}]},
            {"modified": {'.parts[name="x",side="left"]'}},
        ),
        (
            {"parts": [{"name": "x"}, {"name": "x"}]},
            {},
            {"removed": {".parts", '.parts[name="x",side="left"]'}},
        ),
    ],
)
def test_a_change_is_told_field_by_field(
    schemas: Schemas, widget: Schema, old: Any, new: Any, expected: dict[str, set[str]]
) -> None:
    below = {key: {f".spec{place}" for place in places} for key, places in expected.items()}
    assert differences(schemas, widget, {"spec": old}, {"spec": new}) == below


def test_removing_takes_exactly_what_is_named(schemas: Schemas, widget: Schema) -> None:
    obj = {"spec": {"size": 1, "labels": {"a": "1"}, "parts": [{"name": "x"}, {"name": "y"}], "tags": ["a", "b"]}}
    gone: set[Path] = {
        ("f:spec", "f:labels", "f:a"),
        ("f:spec", "f:parts", 'k:{"name":"x","side":"left"}'),
        ("f:spec", "f:tags", 'v:"b"'),
    }
    assert remove(schemas, widget, obj, gone) == {
        "spec": {"size": 1, "labels": {}, "parts": [{"name": "y"}], "tags": ["a"]}
    }


def test_declared_fields_above_a_path_belong_to_it(schemas: Schemas, widget: Schema) -> None:
    """Keys of free maps and items of lists do not: they may hold what others own."""
    members = {("f:spec", "f:free", "f:a", "f:b"), ("f:spec", "f:parts", 'k:{"name":"x"}', "f:weight")}
    assert with_parents(schemas, widget, members) - members == {
        ("f:spec",),
        ("f:spec", "f:free"),
        ("f:spec", "f:parts"),
    }
