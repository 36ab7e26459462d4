"""The rules that every DAG keeps. Each is a function that a DAG breaking it turns red (see the end of the file)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.models.dagbag import DagBag
from airflow.sdk import DAG, BaseOperator

from infra_ops.airflow.tool_pod import ToolPod

AREAS = {
    "roadmap",
    "credentials",
    "backups",
    "hardening",
    "observability",
    "gitops",
    "mesh",
    "cicd",
    "platform",
    "upkeep",
}
LONGEST_TASK = timedelta(hours=6)
Rule = Callable[[DAG], Iterator[str]]


def is_owned_and_tagged_by_its_area(dag: DAG) -> Iterator[str]:
    if dag.owner != "infra-ops":
        yield f"owner is {dag.owner}"
    if not AREAS & set(dag.tags):
        yield f"no tag names its area: {sorted(dag.tags)}"


def tells_how_to_triage(dag: DAG) -> Iterator[str]:
    notes = dag.doc_md or ""
    if "#### Triage" not in notes:
        yield "doc_md has no triage notes"
    for task in dag.tasks:
        if f"`{task.task_id}`" not in notes:
            yield f"the triage notes do not mention {task.task_id}"


def runs_once_at_a_time_and_not_for_ever(dag: DAG) -> Iterator[str]:
    if dag.max_active_runs != 1:
        yield f"max_active_runs is {dag.max_active_runs}"
    if dag.catchup:
        yield "catchup is on"
    if not dag.dagrun_timeout:
        yield "no dagrun_timeout"


def retries_and_limits_every_task(dag: DAG) -> Iterator[str]:
    for task in dag.tasks:
        if task.retries < 1:
            yield f"{task.task_id} is not retried"
        if not task.execution_timeout or task.execution_timeout > LONGEST_TASK:
            yield f"{task.task_id} has no execution_timeout within {LONGEST_TASK}"


def ends_every_pod_at_a_deadline(dag: DAG) -> Iterator[str]:
    for task in dag.tasks:
        if isinstance(task, ToolPod) and not 0 < task.deadline_seconds <= LONGEST_TASK.total_seconds():
            yield f"the pod of {task.task_id} has no deadline"
        if type(task).__name__ == "KubernetesPodOperator":
            yield f"{task.task_id} is a bare KubernetesPodOperator: use ToolPod, which sets deadline and restrictions"


def runs_as_its_areas_account(dag: DAG) -> Iterator[str]:
    for task in dag.tasks:
        template = Path(task.executor_config.get("pod_template_file", ""))
        if template.stem not in dag.tags or not template.is_file():
            yield f"{task.task_id} has no pod template of its area"


def ends_in_one_verdict(dag: DAG) -> Iterator[str]:
    leaves = [task.task_id for task in dag.leaves]
    if leaves != ["verdict"]:
        yield f"its leaves are {leaves}, not just verdict"


def explains_its_params(dag: DAG) -> Iterator[str]:
    for name in dag.params:
        if not dag.params.get_param(name).description:
            yield f"the param {name} has no description"


RULES: list[Rule] = [
    is_owned_and_tagged_by_its_area,
    tells_how_to_triage,
    runs_once_at_a_time_and_not_for_ever,
    retries_and_limits_every_task,
    ends_every_pod_at_a_deadline,
    runs_as_its_areas_account,
    ends_in_one_verdict,
    explains_its_params,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_dag(rule: Rule, dagbag: DagBag) -> None:
    broken = {dag.dag_id: list(rule(dag)) for dag in dagbag.dags.values()}
    assert broken == {dag_id: [] for dag_id in dagbag.dags}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_dag_that_keeps_no_rule_is_caught_by_each(rule: Rule) -> None:
    """The rules, seen red: two unconnected tasks and nothing of what is asked for."""
    with DAG("careless", params={"server": "rpi-1"}, catchup=True) as dag:
        ToolPod(task_id="pod", arguments=["nodes"], deadline_seconds=0)
        BaseOperator(task_id="other")
    assert list(rule(dag)) != []
