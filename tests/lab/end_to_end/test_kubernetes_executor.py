"""Under KubernetesExecutor every task is a pod with its area's service account; a tool's pod has yet another one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.kube import Kube
from tests.lab.end_to_end.conftest import Lab, running

TASKS = {"pod_lists_nodes", "server_tells", "worker_looks", "verdict"}


@dataclass(frozen=True)
class Run:
    """What ground_check printed, and all pods that came to be meanwhile."""

    output: str
    pods: list[dict[str, Any]]

    def accounts(self, namespace: str) -> set[tuple[str, str, str]]:
        """Task, service account and image of the pods there that belong to a task."""
        return {
            (labels["task_id"], pod["spec"]["serviceAccountName"], pod["spec"]["containers"][0]["image"])
            for pod in self.pods
            if pod["metadata"]["namespace"] == namespace and "task_id" in (labels := pod["metadata"].get("labels", {}))
        }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run on a lab of its own; the pods are collected by a watch, because Airflow deletes them when they end."""
    with running(tmp_path_factory.mktemp("lab"), "--executor", "kubernetes") as lab:
        return asyncio.run(_run_and_watch(lab))


async def _run_and_watch(lab: Lab) -> Run:
    pods: dict[str, dict[str, Any]] = {}

    async def collect() -> None:
        async with Kube(Path(lab.state["kubeconfig"])) as kube:
            async for kind, pod in kube.events("/api/v1/pods"):
                if kind == "ADDED":
                    pods[pod["metadata"]["uid"]] = pod

    watch = asyncio.create_task(collect())
    output = await asyncio.to_thread(lab.do, "run", "ground_check")
    watch.cancel()
    return Run(output, list(pods.values()))


def test_the_run_succeeds(run: Run) -> None:
    assert "ground_check: success" in run.output


def test_every_task_ran_in_a_pod_with_the_areas_account(run: Run) -> None:
    assert run.accounts("airflow") == {(task, "infra-ops-upkeep", "apache/airflow:3.0.2") for task in TASKS}


def test_the_tool_ran_in_a_pod_that_can_only_read(run: Run) -> None:
    assert run.accounts("infra-ops") == {("pod_lists_nodes", "reader", "infra-ops/toolbox:0.1.0")}
