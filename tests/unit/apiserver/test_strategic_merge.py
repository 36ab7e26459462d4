"""Strategic merge patch: lists merge as the schema says, directives do the rest."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.apiserver.patches import MalformedPatch, strategic_merge
from lab.apiserver.schemas import Schemas


def test_a_patch_gives_what_the_case_says(case: dict[str, Any], schemas: Schemas) -> None:
    schema = schemas.find("", "v1", case.get("kind", "Pod"))
    doc = {"spec": case["doc"]}
    before = copy.deepcopy(doc)
    if "result" in case:
        assert strategic_merge(schemas, schema, doc, {"spec": case["patch"]}) == {"spec": case["result"]}
    else:
        with pytest.raises(MalformedPatch) as refusal:
            strategic_merge(schemas, schema, doc, {"spec": case["patch"]})
        assert str(refusal.value) == case["malformed"]
    assert doc == before, "a patch must leave its argument alone"


def test_finalizers_are_a_set_that_can_be_taken_from(schemas: Schemas) -> None:
    """The one list of plain values that merges: how a controller removes its own finalizer and no other."""
    doc = {"metadata": {"finalizers": ["a", "b"]}}
    pod = schemas.find("", "v1", "Pod")
    added = strategic_merge(schemas, pod, doc, {"metadata": {"finalizers": ["c", "a"]}})
    assert sorted(added["metadata"]["finalizers"]) == ["a", "b", "c"]
    taken = strategic_merge(schemas, pod, doc, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
    assert taken == {"metadata": {"finalizers": ["b"]}}


def test_an_unknown_kind_merges_maps_and_replaces_lists(schemas: Schemas) -> None:
    merged = strategic_merge(schemas, None, {"a": {"b": [1], "c": 1}}, {"a": {"b": [2]}})
    assert merged == {"a": {"b": [2], "c": 1}}


containers = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from("xyz")}),
    unique_by=lambda item: item["name"],
    max_size=4,
)


@given(containers, containers)
def test_merging_twice_changes_nothing_more(schemas: Schemas, live: list[Any], patch: list[Any]) -> None:
    pod = schemas.find("", "v1", "Pod")
    once = strategic_merge(schemas, pod, {"spec": {"containers": live}}, {"spec": {"containers": patch}})
    assert strategic_merge(schemas, pod, once, {"spec": {"containers": patch}}) == once
    names = [item["name"] for item in once["spec"]["containers"]]
    assert sorted(names) == sorted({item["name"] for item in live + patch})
    assert [name for name in names if name in {item["name"] for item in patch}] == [item["name"] for item in patch]
