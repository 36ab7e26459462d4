"""What a task asks Airflow about runs. For tasks only: a trigger must not ask (see triggers.py)."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context


def run_name(context: Context) -> str:
    """This run as `dag/run`, the name by which it holds the Lease and keeps its journal."""
    return f"{context['ti'].dag_id}/{context['run_id']}"


def has_ended(instance: Any, run: str) -> bool:
    """Is the run `dag/run` over? One that Airflow does not know is. `instance` is the asking task instance.

    It asks for the number of unfinished runs of that name, because the state of a deleted run is an error in 3.0.2.
    """
    dag_id, _, run_id = run.partition("/")
    unfinished: int = instance.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=["queued", "running"])
    return unfinished == 0


def task_states(context: Context) -> dict[str, str | None]:
    """The states of this run's tasks, by task id."""
    instance = context["ti"]
    states = instance.get_task_states(dag_id=instance.dag_id, run_ids=[instance.run_id])
    return dict(states[instance.run_id])
