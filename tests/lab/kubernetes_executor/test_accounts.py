"""Under KubernetesExecutor every task is a pod with its area's service account; a tool's pod has yet another one.

In a folder of its own, so that the lab of tests/lab/end_to_end has ended before this one starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.kube import Kube
from tests.lab.end_to_end.conftest import Lab, running

TASKS = {"pod_lists_nodes", "server_tells", "worker_looks", "verdict"}


@dataclass(frozen=True)
class Run:
    """What a run of `dag` printed, and all pods that were there meanwhile."""

    dag: str
    output: str
    pods: list[dict[str, Any]]

    def accounts(self, namespace: str) -> set[tuple[str, str, str]]:
        """Task, service account and image of the pods there that belong to a task of the DAG."""
        return {
            (labels["task_id"], pod["spec"]["serviceAccountName"], pod["spec"]["containers"][0]["image"])
            for pod in self.pods
            if pod["metadata"]["namespace"] == namespace
            and "task_id" in (labels := pod["metadata"].get("labels", {}))
            and labels["dag_id"] == self.dag
        }


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running(tmp_path_factory.mktemp("lab"), "--executor", "kubernetes") as lab:
        yield lab


@pytest.fixture(scope="module")
def run(lab: Lab) -> Run:
    return asyncio.run(_run_and_watch(lab, "ground_check"))


@pytest.fixture(scope="module")
def rotation(lab: Lab) -> Run:
    return asyncio.run(_run_and_watch(lab, "rotate_credentials", "--conf", '{"mode": "apply"}'))


async def _run_and_watch(lab: Lab, *what: str) -> Run:
    """One run; the pods are collected by a watch, because Airflow deletes them when they end."""
    pods: dict[str, dict[str, Any]] = {}

    async def collect() -> None:
        async with Kube(Path(lab.state["kubeconfig"])) as kube:
            async for kind, pod in kube.events("/api/v1/pods"):
                if kind == "ADDED":
                    pods[pod["metadata"]["uid"]] = pod

    watch = asyncio.create_task(collect())
    output = await asyncio.to_thread(lab.do, "run", *what)
    watch.cancel()
    return Run(what[0], output, list(pods.values()))


def test_the_run_succeeds(run: Run) -> None:
    assert "ground_check: success" in run.output


def test_every_task_ran_in_a_pod_with_the_areas_account(run: Run) -> None:
    assert run.accounts("airflow") == {(task, "infra-ops-upkeep", "apache/airflow:3.0.2") for task in TASKS}


def test_the_tool_ran_in_a_pod_that_can_only_read(run: Run) -> None:
    assert run.accounts("infra-ops") == {("pod_lists_nodes", "reader", "infra-ops/toolbox:0.1.0")}


def test_credentials_rotate_with_the_rights_of_their_area_alone(rotation: Run) -> None:
    """Under LocalExecutor one account holds the rights of all areas; here each task's pod has its own."""
    assert "rotate_credentials: success" in rotation.output
    accounts = {account for _, account, _ in rotation.accounts("airflow")}
    assert accounts == {"infra-ops-credentials"}
    assert len(rotation.accounts("airflow")) >= 10
