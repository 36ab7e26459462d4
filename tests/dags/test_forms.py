"""The trigger form of every DAG can be sent as it opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.models.dagbag import DagBag


def test_a_field_that_may_stay_empty_says_so(dagbag: DagBag) -> None:
    """The form of 3.0.2 demands a value for every field whose type does not name null, and refuses to trigger."""
    for dag in dagbag.dags.values():
        for name, param in dag.params.items():
            schema = dag.params.get_param(name).schema
            if param in (None, "", []):
                assert "null" in schema["type"], f"{dag.dag_id}: the form demands a value for {name}"
