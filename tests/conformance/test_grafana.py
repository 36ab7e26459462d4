"""Grafana as every target."""

from __future__ import annotations

from tests.conformance.suite import LockingConformance


class TestGrafana(LockingConformance):
    kind = "grafana"
