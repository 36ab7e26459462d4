"""One run of a DAG by the scheduler's own rules, without workers: what each task comes to, the test decides.

`dag.test()` takes seconds a task; failing every task of every DAG in turn needs something faster that still asks
Airflow which task may start, which is skipped, and what becomes of the run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from airflow.models.dagrun import DagRun
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import SerializedDAG
from airflow.utils import timezone
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType

States = dict[str, str | None]
Act = Callable[[str, States], TaskInstanceState]


def simulate(dag: DAG, act: Act) -> tuple[DagRunState, States]:
    """Runs `dag` to its end and returns the states of the run and its tasks. Needs a migrated database.

    `act` is told a task that may start and the states of all tasks, and says how the task ends.
    """
    scheduled = SerializedDAG.deserialize_dag(SerializedDAG.serialize_dag(dag))
    now = timezone.utcnow()
    with create_session() as session:
        run: DagRun = scheduled.create_dagrun(
            run_id=f"manual__{uuid.uuid4()}",
            logical_date=None,
            data_interval=None,
            run_after=now,
            run_type=DagRunType.MANUAL,
            state=DagRunState.RUNNING,
            triggered_by=DagRunTriggeredByType.TEST,
            start_date=now,
            session=session,
        )
        run.dag = scheduled
        run.start_dr_spans_if_needed(tis=[])
        for _ in range(2 * len(dag.tasks)):
            startable, _callback = run.update_state(session=session, execute_callbacks=False)
            if run.state != DagRunState.RUNNING:
                break
            for instance in startable:
                instance.state = act(instance.task_id, _states(run, session))
            session.flush()
        return run.state, _states(run, session)


def _states(run: DagRun, session: object) -> States:
    return {instance.task_id: instance.state for instance in run.get_task_instances(session=session)}
