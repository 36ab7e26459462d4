"""All DAGs of the repository, read as Airflow's own DAG processor reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.models.dagbag import DagBag

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture(scope="session")
def dag_files() -> list[Path]:
    """Every file that must hold a DAG."""
    return sorted(DAGS.rglob("*.py"))


@pytest.fixture(scope="session")
def dagbag() -> DagBag:
    """Needs no database: a DAG that asks for one while it is read shows up in `import_errors`."""
    from airflow.models.dagbag import DagBag

    return DagBag(dag_folder=DAGS, include_examples=False)
