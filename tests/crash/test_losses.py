"""Encryption in the whole lab, while what it runs on goes away: the API for two minutes, its pod's node, its worker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash import killing
from tests.lab.encryption.stage import writers
from tests.lab.end_to_end.airflow import Airflow
from tests.lab.end_to_end.conftest import Lab, running, wait_until
from tests.lab.servers_of_k3s import SERVERS

NAMESPACE = "infra-ops-hardening"
AWAY_SECONDS = 120


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("lab")
    killing.install(root / "data" / "airflow")
    with running(root) as lab:
        yield lab


def apply(airflow: Airflow, **params: Any) -> str:
    """A run that applies what another one has planned."""
    planned = airflow.trigger(**params)
    assert airflow.wait(planned) == "success", airflow.tasks(planned)
    return airflow.trigger(mode="apply", plan_id=airflow.xcom(planned, "plan", "plan")["id"], **params)


def pods_of(lab: Lab, task: str) -> list[dict[str, Any]]:
    """The tool pods of a task that work."""
    found = json.loads(lab.kubectl("get", "pods", "-n", NAMESPACE, "-l", f"task_id={task}", "-o", "json"))["items"]
    return [pod for pod in found if pod["status"].get("phase") == "Running"]


def working(airflow: Airflow, lab: Lab, run: str, task: str) -> dict[str, Any]:
    """The pod of a task, as soon as it works."""

    def is_there() -> bool:
        assert airflow.state(run) != "failed", airflow.tasks(run)
        return bool(pods_of(lab, task))

    wait_until(is_there, f"a pod of {task} works", 600)
    return pods_of(lab, task)[0]


@pytest.mark.timeout(2400)
def test_the_api_is_away_for_two_minutes(lab: Lab) -> None:
    airflow = Airflow(lab.state, "secrets_encryption")
    run = apply(airflow)
    working(airflow, lab, run, "introduce")
    lab.do("stop", "apiserver")
    time.sleep(AWAY_SECONDS)
    lab.do("start", "apiserver")
    assert airflow.wait(run, seconds=1800) == "success", airflow.tasks(run)
    assert set(writers(lab.root / "data/apiserver/state.db")) == {"secretbox:key1"}
    print(f"\nAPI away for {AWAY_SECONDS} s: {airflow.tries(run)}")


@pytest.mark.timeout(2400)
def test_the_node_of_the_pod_is_lost(lab: Lab) -> None:
    """It stays off until the run has ended: Kubernetes never learns what became of that pod."""
    airflow = Airflow(lab.state, "secrets_encryption")
    run = apply(airflow, force=True)
    node = working(airflow, lab, run, "introduce")["spec"]["nodeName"]
    assert node not in SERVERS
    lab.do("stop", node)
    try:
        assert airflow.wait(run, seconds=1800) == "success", airflow.tasks(run)
    finally:
        lab.do("start", node)
    assert set(writers(lab.root / "data/apiserver/state.db")) == {"secretbox:key2"}
    assert airflow.tries(run)["introduce"] > 1
    print(f"\n{node} lost: {airflow.tries(run)}")


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("task", ["introduce", "rewrite"])
def test_the_worker_is_lost(lab: Lab, task: str) -> None:
    """3.0.2 does not try a task again whose process was killed: what can be taken back is, and a person runs it again.

    Before anything is written with the new key that leads back to the start; after that, on from where it stood.
    """
    airflow = Airflow(lab.state, "secrets_encryption")
    before = next(iter(writers(lab.root / "data/apiserver/state.db")))
    killing.order(lab.root / "data" / "airflow", task, killing.START, "effect", 1)
    run = apply(airflow, force=True)
    assert airflow.wait(run, seconds=1800) == "failed"
    assert killing.carried_out(lab.root / "data" / "airflow")
    assert airflow.tasks(run)[task] == "failed"
    run = apply(airflow)  # no `force`: any run ends a rotation that has made its key
    assert airflow.wait(run, seconds=1800) == "success", airflow.tasks(run)
    (after,) = writers(lab.root / "data/apiserver/state.db")
    assert int(after.removeprefix("secretbox:key")) == int(before.removeprefix("secretbox:key")) + 1
    print(f"\nworker of {task} lost: {before} to {after}")
