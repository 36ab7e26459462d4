"""The newest outcome of every check, kept in the cluster: a ConfigMap a check, `infra-ops/evidence-<id>`.

It outlives Airflow and its database. The history is Airflow's: an asset event a run (airflow/evidence.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby

from infra_ops.clients.kubernetes import Cluster, ClusterError
from infra_ops.clients.retries import pause
from infra_ops.models.outcomes import Outcome, newest

COLLECTION = "/api/v1/namespaces/infra-ops/configmaps"
MANAGER = "infra-ops-evidence"
ORIGIN = "infra-ops/origin"
TRIES = 5


class Evidence:
    """The outcomes known in a cluster. `origin` says who measures: `lab`, or `cluster` for a real one.

    What was measured elsewhere is not seen, so nothing that the lab found ever counts for a real cluster.
    """

    def __init__(self, cluster: Cluster, origin: str) -> None:
        self._cluster = cluster
        self._origin = origin

    def latest(self, check: str, subject: str) -> Outcome | None:
        """The newest outcome; None if there is none. It may be stale. Raises ClusterError."""
        outcomes, _ = self._read(check)
        return next((outcome for outcome in outcomes if outcome.subject == subject), None)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Keep these too; of each check and subject the newest stays. Raises ClusterError."""
        for check, group in groupby(newest(outcomes), key=lambda outcome: outcome.id):
            self._add(check, list(group))

    def _add(self, check: str, outcomes: list[Outcome]) -> None:
        for attempt in range(1, TRIES + 1):
            known, version = self._read(check)
            try:
                self._write(check, newest([*known, *outcomes]), version)
            except ClusterError as error:  # another run wrote since we read, or we cannot know whether we did
                if not error.is_open or attempt == TRIES:
                    raise
                pause(attempt)
            else:
                return

    def _read(self, check: str) -> tuple[list[Outcome], str]:
        """The outcomes of a check and the resourceVersion that holds them ("" when there is no object yet)."""
        try:
            found = self._cluster.get(f"{COLLECTION}/{_name(check)}")
        except ClusterError as error:
            if error.status == 404:
                return [], ""
            raise
        version = str(found["metadata"]["resourceVersion"])
        if found["metadata"].get("labels", {}).get(ORIGIN) != self._origin:
            return [], version
        return [Outcome.from_dict(value) for value in json.loads(found["data"]["outcomes"])], version

    def _write(self, check: str, outcomes: list[Outcome], version: str) -> None:
        """Server-side apply: the object may carry labels of others. Raises 409 when somebody came between."""
        metadata = {
            "name": _name(check),
            "namespace": "infra-ops",
            "labels": {"app.kubernetes.io/part-of": "infra-ops", ORIGIN: self._origin},
            **({"resourceVersion": version} if version else {}),
        }
        values = [outcome.as_dict() for outcome in outcomes]
        item = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"outcomes": json.dumps(values, indent=1)},
        }
        if not version:  # apply would write over what another run created since we looked
            self._cluster.create(COLLECTION, item)
        else:
            self._cluster.apply(f"{COLLECTION}/{_name(check)}", item, manager=MANAGER, force=True)


def _name(check: str) -> str:
    return f"evidence-{check.lower()}"
