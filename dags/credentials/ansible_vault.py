"""Move the passwords of the infrastructure repository into Ansible Vault (roadmap, phase 3, week 1)."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.steps import Apply

DOC = """
### Ansible Vault

Clones the repository that `include/cluster.yaml` names under `repository`, finds every password that a credential has
or had, and replaces each, in playbooks, inventories, templates, shell strings and documents, by a reference to a
variable of `ansible/vars/vault.yml`. Nothing else in a file changes, but the lines by which playbooks load the vault
and tasks hide their output (`no_log`). It proves that every playbook renders what it did before, then pushes **one
commit to the branch `infra-ops/ansible-vault`**: you review and merge it. The vault's password is random and lies in
the secret store, and so does the encrypted file, which is restored and compared once. `docs/vault.md` of that commit
explains the use.

`vault: ignored` (the roadmap's way) keeps the file out of Git: nobody can guess at it offline, nobody can review it.
With `vault: committed` it is reviewed and backed up with the rest. Both are safe only with a strong password, which
it has.

What only looks like a password is listed in the plan, and replaced when you name its place in `include`.

#### Triage

- `plan`: *cannot become references where they stand*: move or remove the value there by hand; Kubernetes manifests,
  scripts and files that Ansible only copies cannot take a reference. *Commits of somebody else*: merge or delete the
  branch. *Encrypted already*: store the password of that file, or rekey it. *Would render differently*: the place named
  depends on the exact text; look at it.
- `remember`: writes HMACs of known values to the store; *denied*: run deploy_openbao, which brings the policy.
- `keep`: stores the vault's password and the vault, and reads them back. *Not the vault that was stored*: somebody
  writes to the same path of the store.
- `propose`: *somebody changed the branch*: look at it. *Host key* or *Permission denied*: the deploy key in the store.
"""

with DAG(
    "ansible_vault",
    **runbook(
        "credentials",
        account="repository",
        pods="repository",
        operation="infra_ops.operations.repository.vaulting.AnsibleVault",
        doc=DOC,
        timeout=timedelta(hours=3),
        params={
            "include": Param(
                None,
                type=["null", "array"],
                items={"type": "string"},
                title="Secrets that nobody knew",
                description="Those of the places (path:line) listed in the plan that do hold a secret, one a line.",
            ),
        },
    ),
):
    carried_out(Apply(task_id="remember"), Apply(task_id="keep"), Apply(task_id="propose"))
