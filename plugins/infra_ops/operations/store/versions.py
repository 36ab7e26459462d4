"""Which versions of a credential are retired: the store keeps ten of each, whatever a key asks for.

The newest and the one before it never are: a rotation that is under way starts from one and may need the other.
"""

from __future__ import annotations

from collections.abc import Sequence

LEAST_KEPT = 2


def retired(versions: Sequence[int], keep: int) -> list[int]:
    """Those of the readable versions that are not among the newest `keep` numbers.

    It counts numbers, not readable versions: what is destroyed in between takes nobody else's place. Raises ValueError
    when fewer than two were to be kept.
    """
    if keep < LEAST_KEPT:
        raise ValueError(f"at least {LEAST_KEPT} versions are kept, not {keep}: the current one and the way back")
    return [version for version in versions if version <= max(versions) - keep]
