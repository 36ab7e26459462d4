"""The verdict of ground_check on what the other tasks pushed."""

from typing import Any

import pytest
from airflow.exceptions import AirflowFailException

from infra_ops.airflow.ground import GroundVerdict


class TaskInstance:
    dag_id = "ground_check"

    def xcom_push(self, key: str, value: list[dict[str, Any]]) -> None:
        self.pushed = {key: value}


def test_a_server_that_says_something_odd_leaves_the_other_findings_standing() -> None:
    nodes = [{"name": "rpi-1", "ready": True, "reason": "", "kubelet_version": "v1"}]
    store = {"address": "https://bao", "reachable": True, "sealed": False, "login": "approle", "problem": ""}
    verdict = GroundVerdict(
        task_id="verdict",
        server="rpi-1",
        pod={"nodes": nodes},
        node={"version": "k3s: not found", "snapshots": "panic"},
        worker={"api_version": "v1", "nodes": nodes, "store": store},
    )
    ti = TaskInstance()
    with pytest.raises(AirflowFailException, match=r"K002 .* printed 'k3s: not found'.*\n.*K004 .* printed 'panic'"):
        verdict.execute({"ti": ti, "run_id": "r"})  # type: ignore[typeddict-item]
    assert [(outcome["id"], outcome["state"]) for outcome in ti.pushed["verdict"]] == [
        ("K001", "pass"),
        ("K002", "unknown"),
        ("K003", "pass"),
        ("K004", "unknown"),
        ("K005", "pass"),
    ]
