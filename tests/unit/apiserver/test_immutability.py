"""What may not change in an object that exists."""

from typing import Any

from lab.apiserver.immutability import forbidden_changes


def test_a_change_is_answered_as_the_case_says(case: dict[str, Any]) -> None:
    envelope = {"apiVersion": f"{case.get('group', '')}v1", "kind": case["kind"]}
    found = forbidden_changes(case["plural"], {**envelope, **case["old"]}, {**envelope, **case["new"]})
    if "fields" in case:
        assert [field for field, _ in found] == case["fields"]
    else:
        assert dict(found) == case["errors"]


def test_an_object_that_stays_as_it_is_is_always_allowed(case: dict[str, Any]) -> None:
    old = {"apiVersion": f"{case.get('group', '')}v1", "kind": case["kind"], **case["old"]}
    assert forbidden_changes(case["plural"], old, old) == []
