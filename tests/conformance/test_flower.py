"""Flower as every target."""

from __future__ import annotations

from infra_ops.models.credentials import Credential
from tests.conformance.stage import Stage
from tests.conformance.suite import TargetConformance


class TestFlower(TargetConformance):
    kind = "flower"

    def test_other_logins_of_the_service_stay(self, stage: Stage) -> None:
        viewer = Credential("viewer", "theirs")
        stage.rotate(meanwhile=lambda: None)
        assert stage.accepts(viewer)
