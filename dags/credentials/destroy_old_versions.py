"""Destroy retired passwords in the store (roadmap, phase 3, week 1: rotate ALL exposed credentials)."""

from __future__ import annotations

from airflow.sdk import DAG

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.steps import Apply

DOC = """
### Destroy old versions

A rotation leaves the old password in the store: the store keeps ten versions of everything. This runbook destroys, for
good, all versions of each credential but the newest and the one before it. It runs as an identity of its own,
infra-ops-destroyer, which sees version numbers and never a value; whoever rotates can destroy nothing.

What is destroyed on its schedule needs `destroy_old_versions` under `unattended` in `include/cluster.yaml`; until then
the schedule only shows what it would destroy.

#### Triage

- `destroy`: *permission denied*: the policy or role infra-ops-destroyer is missing in the store; run deploy_openbao.
"""

with DAG(
    "destroy_old_versions",
    **runbook(
        "credentials",
        account="destroyer",
        operation="infra_ops.operations.store.destroying.DestroyOldVersions",
        doc=DOC,
        schedule="47 4 * * *",
    ),
):
    carried_out(Apply(task_id="destroy"))
