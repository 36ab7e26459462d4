"""The same tasks on Airflow 3.0.2 itself, in this process: what the fakes of the other tests stand for."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from airflow.models.asset import AssetEvent
from airflow.models.dag import DAG as StoredDAG
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import DAG, BaseOperator, Context
from airflow.sdk.execution_time import supervisor
from airflow.serialization.serialized_objects import SerializedDAG
from airflow.utils import timezone
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.runs import has_ended
from infra_ops.airflow.sensors import CheckSensor
from infra_ops.airflow.steps import Apply
from infra_ops.models.outcomes import Outcome, State
from tests.unit.infra_ops.airflow import lamps
from tests.unit.infra_ops.fake_cluster import FakeCluster

LOOKS: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def airflow() -> Iterator[None]:
    """Airflow's tables, and one API server for all tasks: building one takes longer than a task."""
    initdb()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "in_process_api_server", functools.cache(supervisor.in_process_api_server))
        yield


def register(dag: DAG) -> None:
    """Tells Airflow of the DAG and its assets, without which a task with outlets does not start."""
    with create_session() as session:
        if session.get(DagBundleModel, "testing") is None:
            session.add(DagBundleModel(name="testing"))
    StoredDAG.bulk_write_to_db("testing", None, [StoredDAG.from_sdk_dag(dag)])


def shines_at_second_sight(subject: str, arguments: Mapping[str, Any]) -> Outcome:
    """A lamp that takes its time."""
    LOOKS.append(subject)
    state = State.PASS if len(LOOKS) > 1 else State.FAIL
    return lamps.outcome("K901", subject, state, arguments["run"])


def test_a_runbook_from_preflight_to_verdict(monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster) -> None:
    """Modes and plan by XCom, states of the siblings, a sensor that defers, one event with all outcomes."""
    monkeypatch.setattr("infra_ops.measures.MEASURES", {"K901": f"{__name__}.shines_at_second_sight"})
    with DAG("lamps", **runbook("upkeep", operation=lamps.PATH, doc="#### Triage\n")) as dag:
        carried_out(
            Apply(task_id="introduce"),
            CheckSensor(task_id="accepted", check="K901", subjects=["red"], poke_interval=0.1),
            Apply(task_id="switch"),
        )
    register(dag)
    run = dag.test(run_conf={"mode": "apply"})
    with create_session() as session:
        instances = session.query(TaskInstance).filter_by(run_id=run.run_id)
        states = {instance.task_id: instance.state for instance in instances}
        (event,) = session.query(AssetEvent).filter_by(source_run_id=run.run_id)
        (verdict,) = session.query(XComModel).filter_by(run_id=run.run_id, key="verdict")
    assert run.state == DagRunState.SUCCESS
    assert states == dict.fromkeys(dag.task_ids, "success") | {"undo": "skipped"}
    assert lamps.WORLD == {"red": "on", "green": "on"}
    assert LOOKS == ["red", "red"]
    assert event.source_task_id == "record"
    assert {(outcome["id"], outcome["subject"]) for outcome in event.extra["outcomes"]} >= {("K901", "red")}
    assert verdict.value == {"state": "pass", "reasons": []}


class AskAirflow(BaseOperator):
    """Returns which of `runs` have ended."""

    def __init__(self, *, runs: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.runs = runs

    def execute(self, context: Context) -> dict[str, bool]:
        return {run: has_ended(context["ti"], run) for run in self.runs}


def stored_run(dag: DAG, run_id: str, state: DagRunState) -> None:
    now = timezone.utcnow()
    with create_session() as session:
        SerializedDAG.deserialize_dag(SerializedDAG.serialize_dag(dag)).create_dagrun(
            run_id=run_id,
            run_after=now,
            start_date=now,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=state,
            session=session,
        )


def test_a_task_learns_from_airflow_which_runs_have_ended() -> None:
    expected = {
        "asked_about/manual__queued": False,
        "asked_about/manual__running": False,
        "asked_about/manual__failed": True,
        "asked_about/manual__success": True,
        "asked_about/manual__deleted": True,
        "never_heard_of/manual__running": True,
    }
    with DAG("asking") as dag:
        AskAirflow(task_id="ask", runs=list(expected))
    with DAG("asked_about") as other:
        BaseOperator(task_id="any")
    for state in DagRunState:
        stored_run(other, f"manual__{state.value}", state)
    register(dag)
    run: DagRun = dag.test()
    with create_session() as session:
        (answer,) = session.query(XComModel).filter_by(run_id=run.run_id, key="return_value")
        assert XComModel.deserialize_value(answer) == expected
