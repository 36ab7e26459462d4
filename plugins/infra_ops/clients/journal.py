"""What a run wrote, noted before each write: a ConfigMap a run. Only the report reads it: undo looks at the world."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from infra_ops.clients.kubernetes import Cluster, ClusterError

NAMESPACE = "infra-ops"
COLLECTION = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


@dataclass(frozen=True)
class Entry:
    """One effect: when, which step asked for it, and what it wrote where (never a secret)."""

    at: str
    step: str
    what: str


class RunJournal:
    """The journal of one run, `dag/run`. Entries of earlier tries of the same run stay in it."""

    def __init__(self, cluster: Cluster, run: str) -> None:
        self._cluster = cluster
        self._run = run
        digest = hashlib.sha256(run.encode()).hexdigest()[:10]
        self._name = f"journal-{run.partition('/')[0].replace('_', '-')}-{digest}"

    def write(self, step: str, what: str) -> None:
        """Add an entry. Raises ClusterError."""
        entry = Entry(datetime.now(UTC).isoformat(timespec="milliseconds"), step, what)
        entries = self.entries()
        if not entries:
            self._create()
        data = {f"{len(entries):04}": json.dumps(asdict(entry))}
        self._cluster.merge(f"{COLLECTION}/{self._name}", {"data": data})

    def entries(self) -> list[Entry]:
        """All entries in their order. Raises ClusterError."""
        try:
            found = self._cluster.get(f"{COLLECTION}/{self._name}")
        except ClusterError as error:
            if error.status == 404:
                return []
            raise
        data = found.get("data") or {}
        return [Entry(**json.loads(data[key])) for key in sorted(data)]

    def _create(self) -> None:
        """The empty ConfigMap; a try that was killed before its first entry may have left one."""
        metadata = {
            "name": self._name,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/part-of": "infra-ops", "infra-ops/journal": "run"},
            "annotations": {"infra-ops/run": self._run},
        }
        try:
            self._cluster.create(COLLECTION, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        except ClusterError as error:
            if error.status != 409:
                raise
