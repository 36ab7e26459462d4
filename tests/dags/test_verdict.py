"""A failed run looks failed: whichever task of a DAG fails, its verdict fails, and with it the run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.exceptions import AirflowFailException
from airflow.models.dagbag import DagBag
from airflow.sdk import DAG
from airflow.utils.db import initdb
from airflow.utils.state import DagRunState

NODES = [{"name": "rpi-1", "ready": True, "reason": "", "kubelet_version": "v1.32.2+k3s1"}]
STORE = {"address": "https://bao", "reachable": True, "sealed": False, "login": "approle", "problem": ""}
SNAPSHOT = f"Name Location Size Created\nsnapshot file:///s 1 {datetime.now(UTC).isoformat()}\n"
# What the tasks of each DAG give when all is well; a task that is not named gives nothing. `verdict` runs for real.
RESULTS: dict[str, dict[str, Any]] = {
    "ground_check": {
        "pod_lists_nodes": {"nodes": NODES},
        "server_tells": {"version": "k3s version v1.32.2+k3s1 (381620ef)", "snapshots": SNAPSHOT},
        "worker_looks": {"api_version": "v1.32.2+k3s1", "nodes": NODES, "store": STORE},
    },
}


@pytest.fixture(scope="module", autouse=True)
def database() -> None:
    """Airflow's tables, in the SQLite file of the tests' own AIRFLOW_HOME."""
    initdb()


def state_after(dag: DAG, failing: str) -> DagRunState:
    """Runs the whole DAG in this process, its tasks replaced by their results but the one that fails for good."""

    def give(result: Any) -> Any:
        return lambda context: result

    def fail(context: Any) -> None:
        raise AirflowFailException("failed by the test")

    with pytest.MonkeyPatch.context() as patch:
        for task in dag.tasks:
            if task.task_id == failing:
                patch.setattr(task, "execute", fail)
            elif task.task_id != "verdict":
                patch.setattr(task, "execute", give(RESULTS[dag.dag_id].get(task.task_id)))
        return dag.test().state


def test_the_results_of_every_dag_are_known(dagbag: DagBag) -> None:
    """A new DAG needs an entry in RESULTS, or nobody would know whether its verdict can succeed.

    Runbooks share one verdict; test_runbooks.py fails each of their tasks.
    """
    assert RESULTS.keys() == {dag_id for dag_id, dag in dagbag.dags.items() if "runbook" not in dag.tags}


@pytest.mark.parametrize("dag_id", RESULTS)
def test_a_run_in_which_nothing_fails_succeeds(dag_id: str, dagbag: DagBag) -> None:
    assert state_after(dagbag.dags[dag_id], failing="") == DagRunState.SUCCESS


@pytest.mark.parametrize("dag_id", RESULTS)
def test_a_run_in_which_any_one_task_fails_is_failed(dag_id: str, dagbag: DagBag) -> None:
    dag = dagbag.dags[dag_id]
    states = {task_id: state_after(dag, failing=task_id) for task_id in dag.task_ids}
    assert states == dict.fromkeys(dag.task_ids, DagRunState.FAILED)
