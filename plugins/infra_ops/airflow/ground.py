"""The two tasks of ground_check that run in a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import BaseOperator, Context

from infra_ops.checks.ground import check_ground
from infra_ops.facts.k3s import UnreadableOutput, api_version, parse_snapshots, parse_version
from infra_ops.facts.nodes import read_nodes
from infra_ops.models.ground import Ground, PodView, ServerView, WorkerView
from infra_ops.models.k3s import Unreadable
from infra_ops.models.nodes import Node
from infra_ops.models.outcomes import not_passed
from infra_ops.models.store import Store

Read = TypeVar("Read")


class WorkerLooks(BaseOperator):
    """What an Airflow worker sees with its own service account: API version, nodes, secret store."""

    def execute(self, context: Context) -> dict[str, Any]:
        from infra_ops.clients.kubernetes import Cluster, ClusterError
        from infra_ops.clients.vault import Vault
        from infra_ops.facts.store import read_store

        cluster = Cluster()
        try:
            version, nodes = api_version(cluster), read_nodes(cluster)
        except ClusterError as error:
            raise AirflowException(f"The worker sees no nodes: {error}") from error
        return asdict(WorkerView(version, nodes, read_store(Vault())))


class GroundVerdict(BaseOperator):
    """Compares the three views. Pushes all outcomes as XCom `verdict`; fails with a sentence for each that is no pass.

    `pod`, `node` and `worker` are the results of the tasks that looked, None where one failed: so this task has to run
    whatever happened before it.
    """

    template_fields: Sequence[str] = ("server", "pod", "node", "worker")

    def __init__(self, *, server: str, pod: Any, node: Any, worker: Any, **kwargs: Any) -> None:
        super().__init__(trigger_rule="all_done", **kwargs)
        self.server = server
        self.pod = pod
        self.node = node
        self.worker = worker

    def execute(self, context: Context) -> None:
        ground = Ground(self.server, _pod(self.pod), _node(self.server, self.node), _worker(self.worker))
        run = f"{context['ti'].dag_id}/{context['run_id']}"
        outcomes = check_ground(ground, now=datetime.now(UTC), run=run)
        context["ti"].xcom_push(key="verdict", value=[outcome.as_dict() for outcome in outcomes])
        for outcome in outcomes:
            self.log.info("%s: %s", outcome.state.value, outcome.sentence())
        if bad := not_passed(outcomes):
            raise AirflowFailException("\n".join(outcome.sentence() for outcome in bad))


def _pod(saw: dict[str, Any] | None) -> PodView | None:
    return PodView(_nodes(saw)) if saw else None


def _node(server: str, said: dict[str, str] | None) -> ServerView | None:
    if not said:
        return None
    return ServerView(server, _read(parse_version, said["version"]), _read(parse_snapshots, said["snapshots"]))


def _read(parse: Callable[[str], Read], text: str) -> Read | Unreadable:
    try:
        return parse(text)
    except UnreadableOutput as error:
        return Unreadable(str(error))


def _worker(saw: dict[str, Any] | None) -> WorkerView | None:
    return WorkerView(saw["api_version"], _nodes(saw), Store(**saw["store"])) if saw else None


def _nodes(saw: dict[str, Any]) -> list[Node]:
    return [Node(**node) for node in saw["nodes"]]
