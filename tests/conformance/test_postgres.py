"""Postgres as every target."""

from __future__ import annotations

from tests.conformance.suite import TargetConformance


class TestPostgres(TargetConformance):
    kind = "postgres"
