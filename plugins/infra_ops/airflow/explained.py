"""How a task of ours fails: with one sentence, which the run's verdict repeats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import Context

from infra_ops.models.problems import Problem, Refusal


@contextmanager
def explained(context: Context) -> Iterator[None]:
    """Leaves the sentence of a Problem as XCom `problem` and fails the task; after a Refusal it is not retried."""
    try:
        yield
    except Problem as problem:
        context["ti"].xcom_push(key="problem", value=str(problem))
        kind = AirflowFailException if isinstance(problem, Refusal) else AirflowException
        # What it came from may quote what a server said: Airflow would print the whole chain.
        raise kind(str(problem)) from None
