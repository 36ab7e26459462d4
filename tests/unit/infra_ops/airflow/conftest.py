"""A runbook over two lamps, the cluster and inventory that it finds, and Airflow around its tasks."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.sensors import CheckSensor
from infra_ops.airflow.steps import Apply
from tests.unit.infra_ops.airflow import lamps
from tests.unit.infra_ops.fake_cluster import FakeCluster

RUN = "manual__1"


class Instance:
    """The task instance of one run, as its tasks see it: XComs, states of tasks, what Airflow knows of other runs."""

    def __init__(self) -> None:
        self.dag_id, self.run_id, self.task_id, self.try_number = "lamps", RUN, "", 1
        self.xcoms: dict[tuple[str, str], Any] = {}
        self.states: dict[str, str | None] = {}
        self.unfinished: set[str] = set()

    def xcom_push(self, *, key: str, value: Any) -> None:
        assert json.loads(json.dumps(value)) == value, "Airflow would show this XCom as something else"
        self.xcoms[self.task_id, key] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        return self.xcoms.get((task_ids, key))

    def get_task_states(self, *, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str | None]]:
        return {RUN: self.states} if (dag_id, run_ids) == (self.dag_id, [RUN]) else {}

    def get_dr_count(self, *, dag_id: str, run_ids: list[str], states: list[str]) -> int:
        return len({f"{dag_id}/{run_id}" for run_id in run_ids} & self.unfinished)


class OutletEvents:
    """Airflow's events of a task's outlets, by the URI of the asset."""

    def __init__(self) -> None:
        self.by_uri: dict[str, SimpleNamespace] = {}

    def __getitem__(self, asset: Asset) -> SimpleNamespace:
        return self.by_uri.setdefault(asset.uri, SimpleNamespace())


class Run:
    """One run of the lamps' runbook, of which tests execute single tasks."""

    def __init__(self, approval: str = "self", run_type: str = "manual", pods: str = "", **wishes: Any) -> None:
        self.instance = Instance()
        self.conf, self.run_type = wishes, run_type
        with DAG(
            "lamps", **runbook("upkeep", operation=lamps.PATH, approval=approval, doc="#### Triage\n", pods=pods)
        ) as self.dag:
            carried_out(
                Apply(task_id="introduce"), CheckSensor(task_id="accepted", check="K901"), Apply(task_id="switch")
            )
        self.instance.states = dict.fromkeys(self.dag.task_dict)
        self.events = OutletEvents()

    def execute(self, task: str, method: str = "execute", **arguments: Any) -> None:
        """Runs one task; its state becomes success or failed."""
        self.instance.task_id = task
        self.instance.states[task] = "failed"
        getattr(self.dag.get_task(task), method)(self.context(), **arguments)
        self.instance.states[task] = "success"

    def context(self) -> dict[str, Any]:
        params = {name: self.dag.params[name] for name in self.dag.params} | self.conf
        dag_run = SimpleNamespace(dag_id="lamps", run_id=RUN, run_type=self.run_type, conf=self.conf)
        return {
            "ti": self.instance,
            "run_id": RUN,
            "dag_run": dag_run,
            "params": params,
            "outlet_events": self.events,
        }

    def xcom(self, task: str, key: str) -> Any:
        return self.instance.xcoms.get((task, key))


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    lamps.reset()
    monkeypatch.setattr("infra_ops.measures.MEASURES", {"K901": f"{lamps.__name__}.shines"})


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """The only cluster that tasks find."""
    cluster = FakeCluster()
    monkeypatch.setattr("infra_ops.clients.kubernetes.Cluster", lambda **_: cluster)
    return cluster


@pytest.fixture(autouse=True)
def unattended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the inventory lists under `unattended`; nothing else of it is read here."""
    listed: list[str] = []
    monkeypatch.setattr("infra_ops.include.inventory", lambda: SimpleNamespace(unattended=listed))
    return listed


@pytest.fixture
def applying() -> Run:
    """A run that has its plan and is about to switch both lamps on."""
    run = Run(mode="apply")
    run.execute("preflight")
    run.execute("plan")
    return run
