"""One risky change at a time: the Lease infra-ops/change.

It never expires by time: a run whose worker hangs may still have a write under way. It is taken over only when Airflow
says that the run that holds it has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from infra_ops.clients.kubernetes import Cluster, ClusterError
from infra_ops.clients.retries import pause
from infra_ops.models.problems import Refusal

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/infra-ops/leases"
NAME = "change"
TRIES = 3


class ChangeInProgress(Refusal):
    """Another run holds the Lease; the text names it."""


class ChangeLease:
    """The Lease as seen by the run `holder` (`dag/run`)."""

    def __init__(self, cluster: Cluster, holder: str) -> None:
        self._cluster = cluster
        self._holder = holder

    def acquire(self, has_ended: Callable[[str], bool]) -> None:
        """Take the Lease; a run that has it already keeps it.

        `has_ended` asks Airflow whether the run `dag/run` is over. After a conflict or a lost answer the Lease itself
        says who has it. Raises ChangeInProgress when it is not or when somebody else was faster, and ClusterError.
        """
        former: str | None = None
        for attempt in range(1, TRIES + 1):
            lease = self._read()
            current = _holder(lease or {})
            if current == self._holder:
                return
            if former not in (None, current):
                raise ChangeInProgress(f"{current} took the Lease infra-ops/{NAME} at the same moment.")
            former = current
            if current and not has_ended(current):
                raise ChangeInProgress(
                    f"{current} is changing the cluster. Wait until it has ended, then run this again; "
                    "two changes at once cannot be told apart when something breaks."
                )
            if self._write(self._wanted(lease["metadata"] if lease else {}), new=lease is None, attempt=attempt):
                return

    def check(self) -> None:
        """Raises ChangeInProgress unless the Lease is still ours; asked before every effect."""
        current = _holder(self._read() or {})
        if current != self._holder:
            raise ChangeInProgress(f"The Lease infra-ops/{NAME} went to {current or 'nobody'}; {self._holder} stops.")

    def release(self) -> None:
        """Give the Lease back; does nothing when it is not ours."""
        for attempt in range(1, TRIES + 1):
            lease = self._read()
            if not lease or _holder(lease) != self._holder:
                return
            lease["spec"]["holderIdentity"] = ""
            if self._write(lease, attempt=attempt):
                return

    def _read(self) -> dict[str, Any] | None:
        try:
            return self._cluster.get(f"{COLLECTION}/{NAME}")
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def _write(self, lease: dict[str, Any], *, new: bool = False, attempt: int) -> bool:
        """Whether this try certainly came through. If not, the Lease says who has it; after the last try it raises."""
        try:
            if new:
                self._cluster.create(COLLECTION, lease)
            else:
                self._cluster.replace(f"{COLLECTION}/{NAME}", lease)
        except ClusterError as error:
            if not error.is_open:
                raise
            if attempt == TRIES:
                if error.status == 409:
                    raise ChangeInProgress(f"Others write the Lease infra-ops/{NAME} at the same moment.") from error
                raise
            pause(attempt)
            return False
        return True

    def _wanted(self, metadata: dict[str, Any]) -> dict[str, Any]:
        kept = {key: metadata[key] for key in ("resourceVersion", "uid") if key in metadata}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": "infra-ops", **kept},
            "spec": {
                "holderIdentity": self._holder,
                "acquireTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }


def _holder(lease: dict[str, Any]) -> str:
    return str(lease.get("spec", {}).get("holderIdentity") or "")
