"""Synology as every target."""

from __future__ import annotations

from tests.conformance.stage import Stage
from tests.conformance.suite import LockingConformance


class TestSynology(LockingConformance):
    kind = "synology"

    def test_the_policy_of_the_service_is_respected(self, stage: Stage) -> None:
        """40 characters, one of them special."""
        stage.rotate()
        password = stage.stored().credential.password
        assert len(password) == 40
        assert not password.isalnum()
