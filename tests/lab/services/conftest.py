"""Fixtures of the services' tests."""

from pathlib import Path

import pytest

from lab.layout import Lab
from tests.lab.services.stage import furnish


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A furnished lab in which nothing runs yet."""
    return furnish(tmp_path)
