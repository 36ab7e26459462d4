"""What three observers saw of the ground that everything stands on."""

from __future__ import annotations

from dataclasses import dataclass

from infra_ops.models.k3s import Snapshot, Unreadable
from infra_ops.models.nodes import Node
from infra_ops.models.store import Store


@dataclass(frozen=True)
class PodView:
    """What a pod saw through its own service account."""

    nodes: list[Node]


@dataclass(frozen=True)
class ServerView:
    """What K3s' command line said on the server `name`."""

    name: str
    version: str | Unreadable
    snapshots: list[Snapshot] | Unreadable


@dataclass(frozen=True)
class WorkerView:
    """What an Airflow worker saw."""

    api_version: str
    nodes: list[Node]
    store: Store


@dataclass(frozen=True)
class Ground:
    """The three views of one run; None is a view that could not be had. `server` is the server that was asked."""

    server: str
    pod: PodView | None
    node: ServerView | None
    worker: WorkerView | None
