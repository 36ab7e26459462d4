"""A deployment that dies where it makes keys ends with keys that count. tests/crash/test_store.py dies everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from infra_ops.operations.store import recovery
from tests.lab.store.dying import Death, deploy_dying
from tests.lab.store.stage import Stage


@pytest.fixture(scope="module")
def deaths(stage: Stage) -> Iterator[list[Death]]:
    """A deployment that died at every effect of making the recovery keys."""
    stage.as_account("platform")
    yield deploy_dying(stage, "openbao.recovery")
    stage.as_administrator()
    stage.remove()


def test_recovery_keys_whose_answer_was_lost_never_count(stage: Stage, deaths: list[Death]) -> None:
    """Guard: they are made with verification. Without it the store has keys that nobody knows, for ever."""
    assert len(deaths) == 2 * 5
    store = stage.store("platform")
    assert (store.read("sys/seal-status") or {})["n"] == recovery.SHARES
    held = json.loads((stage.secret("openbao-recovery") or {})["keys"])
    # They are the ones that count: with them the store begins another rotation.
    store.write("sys/rotate/recovery/init", {"secret_shares": 3, "secret_threshold": 2, "require_verification": True})
    nonce = (store.read("sys/rotate/recovery/init") or {})["data"]["nonce"]
    for key in held[: recovery.THRESHOLD]:
        answer = store.write("sys/rotate/recovery/update", {"key": key, "nonce": nonce})
    assert answer["data"]["complete"]
    store.delete("sys/rotate/recovery/verify")


def test_no_key_is_in_the_journal(stage: Stage, deaths: list[Death]) -> None:
    held = [stage.secret(name) or {} for name in ("openbao-recovery", "openbao-tls", "openbao-authority")]
    values = [value for data in held for key, value in data.items() if key in ("keys", "tls.key")]
    assert len(values) == 3
    assert [value for value in values if value in "".join(stage.journal.lines)] == []
