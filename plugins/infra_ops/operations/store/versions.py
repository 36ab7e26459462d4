"""Makes the store forget retired passwords: it keeps ten versions of each, whatever a key asks for.

Destroying is for good, so it is done by an identity of its own, which reads no value and writes none. The newest
version and the one before it are always kept: a rotation that is under way starts from one and may need the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra_ops.clients.versions import Versions

LEAST_KEPT = 2


def retired(versions: Sequence[int], keep: int) -> list[int]:
    """Those of the readable versions that are not among the newest `keep` numbers.

    It counts numbers, not readable versions: what is destroyed in between takes nobody else's place. Raises ValueError
    when fewer than two were to be kept.
    """
    if keep < LEAST_KEPT:
        raise ValueError(f"at least {LEAST_KEPT} versions are kept, not {keep}: the current one and the way back")
    return [version for version in versions if version <= max(versions) - keep]


def destroy_old_versions(versions: Versions, credential: str, keep: int = LEAST_KEPT) -> list[int]:
    """Destroys all versions of a credential but the newest `keep`; which ones. Raises StoreError, ValueError."""
    old = retired(versions.readable(credential), keep)
    if old:
        versions.destroy(credential, old)
    return old
