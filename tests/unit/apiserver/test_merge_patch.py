"""JSON merge patch, RFC 7386."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.apiserver.patches import merge_patch


@pytest.mark.parametrize(
    ("doc", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_rfc_hold(doc: Any, patch: Any, result: Any) -> None:
    assert merge_patch(doc, patch) == result


documents = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from("abcd"), documents, max_size=4)


def difference(old: Any, new: Any) -> Any:
    """The merge patch that leads from one document without nulls to another."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    changed = {
        key: difference(old.get(key), value) for key, value in new.items() if key not in old or old[key] != value
    }
    return {**changed, **{key: None for key in old if key not in new}}


@given(objects, objects)
def test_the_difference_of_two_documents_leads_from_one_to_the_other(old: Any, new: Any) -> None:
    assert merge_patch(old, difference(old, new)) == new


@given(objects, objects)
def test_merging_twice_changes_nothing_more(doc: Any, patch: Any) -> None:
    once = merge_patch(doc, patch)
    assert merge_patch(once, patch) == once
