"""Which versions are retired."""

from __future__ import annotations

import pytest

from infra_ops.operations.store.versions import retired


@pytest.mark.parametrize(
    ("readable", "old"),
    [([], []), ([1], []), ([1, 2], []), ([1, 2, 3], [1]), ([1, 4, 5], [1]), ([2, 5], [2]), ([7], [])],
    ids=str,
)
def test_the_newest_numbers_stay(readable: list[int], old: list[int]) -> None:
    assert retired(readable, 2) == old


def test_the_way_back_is_never_destroyed() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        retired([1, 2, 3], 1)
