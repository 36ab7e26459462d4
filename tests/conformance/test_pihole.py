"""Pihole as every target."""

from __future__ import annotations

from tests.conformance.suite import TargetConformance


class TestPihole(TargetConformance):
    kind = "pihole"
