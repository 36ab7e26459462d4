"""What tests/crash kills at is there: those tests run by name only, and would notice late."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.crash.killing import WRITES


@pytest.mark.parametrize("write", WRITES)
def test_the_call_at_which_a_task_dies_exists(write: str) -> None:
    module, kind, method = WRITES[write]
    assert callable(getattr(getattr(import_module(module), kind), method))
