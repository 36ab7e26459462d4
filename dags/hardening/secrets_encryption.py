"""Encrypt Secrets at rest in etcd, and rotate the key every year (roadmap, phase 3, week 1)."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.steps import Apply

DOC = """
### Encryption of Secrets

Brings all K3s servers, one at a time, from plain Secrets to encrypted ones: the key goes to OpenBao and off the cluster
before anything uses it, every server learns to read before any of them writes with it, every Secret is written again,
and raw bytes of each server's datastore and of a new snapshot prove that nothing plain is left. A year later the same
runbook rotates the key. Each first list means one restart of K3s a server; the API stays there as long as three are up.

`force` rotates a key that is not due. `disable` leads back to plain Secrets, without losing one.

K028 names the route and why. *file*: an EncryptionConfiguration of ours, on any version. *managed*: where K3s encrypts
already, or where nothing does and its version does it well, K3s makes the key (`k3s secrets-encrypt`), hands it to its
servers in the datastore and rewrites the Secrets; no key of ours is made, and the first run restarts each server twice.
Between the rotation on one server and the restart of another, within `encrypt`, that other one cannot read Secrets, so
choose a quiet hour for it and write no Secret meanwhile. `disable` is refused there.

Snapshots and Velero backups from before stay readable until they expire: rotate credentials after this, not before.

#### Triage

- `preflight`: names what is missing: a fresh snapshot, one version, healthy members, a quorum, a file that is ours.
  *Other bytes than ours*: two servers hold different keys (docs/real-cluster.md, The key of the Secrets).
- `back_up`: *cannot be reached*: the machine under `off_cluster` in include/cluster.yaml, or its host key.
- `introduce`: *does not start*: the sentence ends in K3s' own last words. `undo` takes the server's part away again.
- `encrypt`: *has not taken over*: that server's journal says why it does not like the file. Managed: *is not
  restarted*: a Secret was written on the server named while K3s rotated; move it as the sentence says, then run again.
  *Has not ended its rewriting*, *made no key*: the journal of that server says why; restart nothing before you read it.
- `rewrite`: safe to clear; what is written already is not written twice.
- `prove`: *still has traces*: something wrote plain values after all; run it again and look at what K022 says.
- `forget`: *are written with*: the old key is still needed; run `rewrite` again.
"""

with DAG(
    "secrets_encryption",
    **runbook(
        "hardening",
        operation="infra_ops.operations.encryption.operation.SecretsEncryption",
        pods="hardening",
        doc=DOC,
        approval="named_plan",
        schedule="23 4 1 * *",
        timeout=timedelta(hours=6),
        params={
            "force": Param(
                False, type="boolean", title="Rotate now", description="Make a new key although the old one is young."
            ),
            "disable": Param(
                False, type="boolean", title="Disable", description="Go back to plain Secrets, without losing one."
            ),
        },
    ),
):
    carried_out(
        Apply(task_id="back_up"),
        Apply(task_id="introduce", execution_timeout=timedelta(hours=1)),
        Apply(task_id="encrypt", execution_timeout=timedelta(hours=1)),
        Apply(task_id="rewrite", execution_timeout=timedelta(hours=2)),
        Apply(task_id="prove", execution_timeout=timedelta(hours=1)),
        Apply(task_id="forget", execution_timeout=timedelta(hours=1)),
    )
