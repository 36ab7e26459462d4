"""Evidence as tasks see it: where a run publishes what it found, and where a task asks for what is known.

Two places: an asset event a run (`x-infra://evidence/<area>`, the history, read by the Roadmap page from Airflow's
database) and the newest outcome of each check in the cluster (clients/evidence.py). Both outlive a restart of Airflow.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airflow.sdk import Asset

from infra_ops.models.outcomes import Outcome

if TYPE_CHECKING:
    from infra_ops.clients.evidence import Evidence


def asset(area: str) -> Asset:
    """The asset whose events carry an area's evidence.

    For a scheme without `x-` Airflow would look through all its providers, 0.2 s at every parse of every DAG file.
    """
    return Asset(name=f"evidence-{area}", uri=f"x-infra://evidence/{area}")


def origin() -> str:
    """Who measures here: `lab` when INFRA_OPS_ORIGIN says so. That never counts for a real cluster."""
    return os.environ.get("INFRA_OPS_ORIGIN", "cluster")


def store() -> Evidence:
    """The newest outcomes, in the cluster. Imports the Kubernetes client: call it in a task only."""
    from infra_ops.clients.evidence import Evidence
    from infra_ops.clients.kubernetes import Cluster
    from infra_ops.clients.retries import Patience

    return Evidence(Cluster(patience=Patience.through_a_restart()), origin())


def latest(check: str, subject: str) -> Outcome | None:
    """The newest outcome of a check about a subject, which may be stale; None if there is none. Raises ClusterError."""
    return store().latest(check, subject)
