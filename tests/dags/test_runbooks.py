"""The rules of runbooks, which plan, change things and verify them, beyond those of every DAG (test_policy.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.exceptions import AirflowException
from airflow.models.dagbag import DagBag
from airflow.sdk import DAG, BaseOperator, Param
from airflow.utils.db import initdb
from airflow.utils.state import DagRunState, TaskInstanceState

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.sensors import CheckSensor
from infra_ops.airflow.steps import Apply
from infra_ops.airflow.verdict import Verdict
from tests.dags.simulation import States, simulate
from tests.dags.test_policy import RULES, Rule

FRAME = {"preflight", "plan", "verify", "undo", "record", "verdict"}


@pytest.fixture(scope="module", autouse=True)
def database() -> None:
    """Airflow's tables, in the SQLite file of the tests' own AIRFLOW_HOME."""
    initdb()


def example() -> DAG:
    """A runbook as DAG files define them."""
    doc = "#### Triage\n\n- `introduce`, `accepted`, `switch`: nothing can go wrong here.\n"
    with DAG("example", **runbook("upkeep", operation="infra_ops.x.Y", doc=doc)) as dag:
        carried_out(Apply(task_id="introduce"), CheckSensor(task_id="accepted", check="K901"), Apply(task_id="switch"))
    return dag


def careless() -> DAG:
    """Looks like a runbook and forgets what makes one: its undo may end the run, and nothing judges it."""
    with DAG("careless", tags=["runbook"], params={"mode": Param("apply", enum=["apply"])}) as dag:
        step, verify, verdict = (BaseOperator(task_id=name) for name in ("step", "verify", "verdict"))
        verdict.trigger_rule = "all_done"  # type: ignore[assignment]
        step >> verify >> verdict
        step >> BaseOperator(task_id="undo", trigger_rule="one_failed")
    return dag


def runbooks(dagbag: DagBag) -> dict[str, DAG]:
    """The repository's runbooks, and one that is always there."""
    return {"example": example()} | {id_: dag for id_, dag in dagbag.dags.items() if "runbook" in dag.tags}


def departures(dag: DAG) -> Iterator[str]:
    """What a DAG does differently than a runbook must."""
    if dag.params["mode"] != "plan" or set(dag.params.get_param("mode").schema["enum"]) != {"plan", "apply"}:
        yield "mode is not plan or apply, with plan as its default"
    if "plan_id" not in dag.params:
        yield "no param names the approved plan"
    for task in FRAME - set(dag.task_ids):
        yield f"it has no task {task}"
    if [leaf.task_id for leaf in dag.leaves] != ["verdict"]:
        yield f"its leaves are {sorted(leaf.task_id for leaf in dag.leaves)}"
    for name in dag.params:
        if not dag.params.get_param(name).schema.get("title"):
            yield f"the form has no title for {name}"


def test_every_runbook_keeps_the_convention(dagbag: DagBag) -> None:
    broken = {dag_id: list(departures(dag)) for dag_id, dag in runbooks(dagbag).items()}
    assert broken == {dag_id: [] for dag_id in broken}


def test_what_changes_things_is_a_runbook(dagbag: DagBag) -> None:
    """Otherwise none of these rules would look at it."""
    changing = {id_ for id_, dag in dagbag.dags.items() if any(isinstance(task, Apply) for task in dag.tasks)}
    assert changing <= runbooks(dagbag).keys()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_who_follows_the_convention_keeps_the_rules_of_every_dag(rule: Rule) -> None:
    assert list(rule(example())) == []


def test_a_careless_runbook_is_caught() -> None:
    """The convention, seen red."""
    assert set(departures(careless())) == {
        "mode is not plan or apply, with plan as its default",
        "no param names the approved plan",
        "it has no task preflight",
        "it has no task plan",
        "it has no task record",
        "its leaves are ['undo', 'verdict']",
        "the form has no title for mode",
    }


class Judged:
    """What a verdict sees of a run that was to change things."""

    def __init__(self, dag: DAG, states: States) -> None:
        self.dag_id, self.run_id, self._states = dag.dag_id, "run", states

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        known = {("preflight", "mode"): {"name": "apply", "why": ""}, ("plan", "plan"): {"steps": ["one"]}}
        return known.get((task_ids, key))

    def xcom_push(self, *, key: str, value: Any) -> None:
        """Nobody reads it here."""

    def get_task_states(self, *, dag_id: str, run_ids: list[str]) -> dict[str, States]:
        return {self.run_id: dict(self._states)}


def run_with(dag: DAG, bad: str, how: TaskInstanceState) -> tuple[DagRunState, States]:
    """A run in which the task `bad` ends as `how` and all others do their work; the verdict is real."""

    def act(task: str, states: States) -> TaskInstanceState:
        if task == bad:
            return how
        verdict = dag.get_task(task)
        if isinstance(verdict, Verdict):
            try:
                verdict.execute({"ti": Judged(dag, states)})  # type: ignore[typeddict-item]
            except AirflowException:
                return TaskInstanceState.FAILED
        return TaskInstanceState.SUCCESS

    return simulate(dag, act)


def surviving(dag: DAG, how: TaskInstanceState, tasks: list[str]) -> list[str]:
    """Those of `tasks` that can end as `how` without anybody noticing."""
    return [task for task in tasks if run_with(dag, task, how)[0] != DagRunState.FAILED]


def started_when_all_is_well(dag: DAG) -> list[str]:
    """The tasks of a run in which nothing fails; undo is not among them."""
    state, states = run_with(dag, "", TaskInstanceState.FAILED)
    assert state == DagRunState.SUCCESS, dag.dag_id
    return [task for task, end in states.items() if end == TaskInstanceState.SUCCESS]


def test_a_run_in_which_all_goes_well_succeeds_without_undo(dagbag: DagBag) -> None:
    for dag in runbooks(dagbag).values():
        assert set(dag.task_ids) - set(started_when_all_is_well(dag)) == {"undo"}, dag.dag_id


def test_whichever_task_of_a_runbook_fails_the_run_is_failed(dagbag: DagBag) -> None:
    for dag in runbooks(dagbag).values():
        assert surviving(dag, TaskInstanceState.FAILED, started_when_all_is_well(dag)) == [], dag.dag_id


def test_whichever_step_of_a_runbook_is_skipped_the_run_is_failed(dagbag: DagBag) -> None:
    """Skipping is how a plan stops; a step that is skipped in a run that was to apply has not been done."""
    for dag in runbooks(dagbag).values():
        steps = [task for task in started_when_all_is_well(dag) if task not in FRAME]
        assert surviving(dag, TaskInstanceState.SKIPPED, [*steps, "verify"]) == [], dag.dag_id


def test_the_state_is_measured_when_nothing_was_to_be_done_but_not_after_a_failed_step(dagbag: DagBag) -> None:
    for dag in runbooks(dagbag).values():
        first = next(task for task in started_when_all_is_well(dag) if task not in FRAME)
        ends = {
            how: run_with(dag, first, how)[1]["verify"] for how in (TaskInstanceState.SKIPPED, TaskInstanceState.FAILED)
        }
        assert list(ends.values()) == ["success", "upstream_failed"], dag.dag_id


def test_an_undo_that_works_does_not_make_a_failed_run_good(dagbag: DagBag) -> None:
    for dag in runbooks(dagbag).values():
        step = next(task for task in started_when_all_is_well(dag) if task not in FRAME)
        state, states = run_with(dag, step, TaskInstanceState.FAILED)
        assert (states["undo"], states["record"], state) == ("success", "success", DagRunState.FAILED), dag.dag_id


def test_a_careless_runbook_hides_a_failure() -> None:
    """The rule, seen red: its verdict starts whatever happened before it, and asks nobody."""
    assert "step" in surviving(careless(), TaskInstanceState.FAILED, ["step", "verify"])
