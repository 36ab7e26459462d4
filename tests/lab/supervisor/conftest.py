"""Fixtures of the supervisor's tests."""

from pathlib import Path

import pytest

from lab.ports import Ports
from tests.lab.supervisor.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def port() -> int:
    return Ports().of("test")
