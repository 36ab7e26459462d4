"""Take a snapshot of the secret store every day, and restore it to see that it can be (roadmap, phase 2)."""

from __future__ import annotations

from airflow.sdk import DAG

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.steps import Apply

DOC = """
### Snapshot of OpenBao

Writes a canary into the secret store, takes a snapshot of it, restores that into a scratch store which is woken for it,
reads the canary there and puts the scratch store to sleep. The time from its start to the canary is what a restore
costs (K018). The newest 14 snapshots stay, on a volume of their own; copies outside of the cluster come with its S3
server.

A snapshot is noise without the store's seal key: keep that key, the Secret openbao/openbao-seal, away from the cluster.
As long as recovery keys lie on the cluster for more than a day, this run reminds of it by failing in `verify` (K015).

#### Triage

- `take`: *names no folder*: the volume of the backups is not mounted. *Denied*: the policy infra-ops-backups is missing
  in the store; run deploy_openbao.
- `rehearse`: *did not get ready*: `kubectl -n openbao describe pod openbao-scratch-0`. *Did not hold what was written*:
  the snapshot cannot be restored; the log of the scratch store says why, and nothing else matters more.
- `forget`: the volume of the backups cannot be written.
"""

with DAG(
    "openbao_snapshot",
    **runbook(
        "backups", operation="infra_ops.operations.store.snapshotting.SnapshotOpenbao", doc=DOC, schedule="11 2 * * *"
    ),
):
    carried_out(Apply(task_id="take"), Apply(task_id="rehearse"), Apply(task_id="forget"))
