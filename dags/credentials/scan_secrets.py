"""Look for passwords in the infrastructure repository every day, in its tree and its history (roadmap, phase 3)."""

from __future__ import annotations

from airflow.sdk import DAG

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.steps import Apply

DOC = """
### Scan for secrets

Remembers the values that credentials have now by HMACs of them, and looks for all that it knows, retired ones too, in
every file of the repository's main branch (K030) and in every version of every file on every branch and tag (K031). It
also measures whether the vault is in order (K032), has a second home that was restored (K033), and has all that
playbooks take from it (K034). The repository is read as text and nothing of it is run. No value is kept and none is
shown: places are.

On its schedule it remembers only where the inventory lists it under `unattended`; it looks in any case.

#### Triage

- `remember`: *denied*: the policy infra-ops-repository is missing in the store; run deploy_openbao.
- `verify`: each sentence names a check of `include/checks.yaml`, which says how to mend it. In the history only values
  that still work count: rotate those.
"""

with DAG(
    "scan_secrets",
    **runbook(
        "credentials",
        account="repository",
        pods="repository",
        operation="infra_ops.operations.repository.scanning.ScanSecrets",
        doc=DOC,
        schedule="7 5 * * *",
    ),
):
    carried_out(Apply(task_id="remember"))
