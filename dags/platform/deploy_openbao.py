"""Deploy the secret store (OpenBao) with its identities (roadmap, phase 3, week 1: rotate ALL exposed credentials)."""

from __future__ import annotations

from airflow.sdk import DAG

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.sensors import CheckSensor
from infra_ops.airflow.steps import Apply

DOC = """
### Deploy OpenBao

Brings the secret store to what `include/manifests/openbao/` and `include/manifests/infra-ops/openbao/` say: its keys,
its objects, and inside of it the KV mount, policies, logins and roles. The plan comes from a server-side dry run and
from what the store itself answers. Run it at any time: where all is as it should be there is nothing to do. It also
renews the store's certificate.

The store initializes and unseals itself, and no root token ever exists. Its recovery keys wait for you in the Secret
`openbao/openbao-recovery` for a day; then K015 fails until they are off the cluster (docs/real-cluster.md).

#### Triage

- `preflight`: *is not there or does not enforce*: apply `include/manifests/infra-ops` as administrator.
- `plan`: *refused PATCH … 422*: somebody changed what cannot be changed later, such as a volume's size in the
  StatefulSet. *Does not serve*: see `serves`. *openbao-seal is gone*: put the seal key back from your copy
  (docs/real-cluster.md); the store serves until its next start.
- `keys`: makes the seal key, the authority and the certificate. It never replaces a seal key.
- `apply`: *forbidden*: the role `component-deployer` in the namespace openbao is older than the manifests.
- `serves`: the pod did not become ready. `kubectl -n openbao describe pod openbao-0` (can its volume be bound, its
  image be pulled?), then its log. *Sealed*: the Secret openbao-seal is not the one with which the store was made.
- `set_up`: *denied the login*: the account infra-ops-platform lost its role in the store; an owner with recovery keys
  gives it back. *Do not hold*: names an identity that may do too much or too little; mend its policy file.
- `hand_over`: safe to clear; keys that were never stored never counted.
"""

with DAG(
    "deploy_openbao",
    **runbook("platform", operation="infra_ops.operations.store.deploy.DeployOpenbao", doc=DOC, approval="named_plan"),
):
    carried_out(
        Apply(task_id="keys"),
        Apply(task_id="apply"),
        CheckSensor(task_id="serves", check="K014", poke_interval=5),
        Apply(task_id="set_up"),
        Apply(task_id="hand_over"),
    )
