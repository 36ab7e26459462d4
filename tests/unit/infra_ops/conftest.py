"""Fakes that stand for Airflow around an operator."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest


@pytest.fixture
def context() -> dict[str, Any]:
    """What an operator's `execute` is given."""
    instance = MagicMock(dag_id="ground_check", task_id="t", run_id="manual__1", try_number=1, map_index=-1)
    return {"ti": instance, "task_instance": instance, "run_id": "manual__1", "dag": MagicMock(parent_dag=None)}
