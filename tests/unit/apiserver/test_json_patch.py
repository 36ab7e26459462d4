"""JSON patch, RFC 6902."""

import copy
from typing import Any

import pytest

from lab.apiserver.patches import MalformedPatch, PatchError, json_patch


def test_a_patch_gives_what_the_case_says(case: dict[str, Any]) -> None:
    before = copy.deepcopy(case["doc"])
    if "result" in case:
        assert json_patch(case["doc"], case["patch"]) == case["result"]
    else:
        with pytest.raises(PatchError) as refusal:
            json_patch(case["doc"], case["patch"])
        assert str(refusal.value) == case.get("error", case.get("malformed"))
        assert isinstance(refusal.value, MalformedPatch) == ("malformed" in case)
    assert case["doc"] == before, "a patch must leave its argument alone, above all when it fails half-way"
