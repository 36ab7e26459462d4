"""The fixtures of the conformance tests, for rotations that are disturbed."""

from __future__ import annotations

from tests.conformance.conftest import clock as clock
from tests.conformance.conftest import cluster as cluster
from tests.conformance.conftest import lab as lab
from tests.conformance.conftest import set_up as set_up
from tests.conformance.conftest import stage as stage
