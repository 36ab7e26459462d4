"""Renew K3s' certificates in time, and see how long others are good for (roadmap: automated certificate rotation)."""

from __future__ import annotations

from airflow.sdk import DAG

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.steps import Apply

DOC = """
### Certificates

Looks every day at how long certificates are good for: those of K3s on each node (K035) and the authorities that sign
them (K036), what ingresses (K037) and admission webhooks (K038) show, and what cert-manager has issued (K039).

K3s' own last a year and are renewed at a start of K3s, if they end within 90 days (120 from v1.32.5 on), and at no
other moment. So a node whose first certificate has under 80 days left has K3s restarted: servers first, then agents,
one at a time, a server only when the others' etcd members are healthy. Pods run on through that; the API of that one
server is away for a moment. All others are only looked at: whoever issued them has to renew them.

Restarts on its schedule need `certificates` under `unattended` in `include/cluster.yaml`; until then a scheduled run
fails when something is due.

#### Triage

- `preflight`: *members are not healthy*: a server is down; nothing is restarted beside that. Mend it, run again. K004:
  no fresh snapshot on the first server to be restarted; `k3s etcd-snapshot save` there.
- `plan`: *is left out* names a node and why. *Did not renew*: K3s was started in time and kept the certificate: look
  into its journal of that start; is the authority itself near its end (K036)? *Is installed there*: somebody has put
  another version of K3s in place; finish that upgrade, which renews the certificates too.
- `renew_servers`: *does not start*: the journal's own words follow; the other servers have not been touched. *Does not
  serve*: `journalctl -u k3s` on the server named. Safe to clear: nobody is restarted twice.
- `renew_agents`: the same with `journalctl -u k3s-agent`.
- `verify`: K037 to K039 name certificates that no restart renews. *Shows no certificate*: nobody answers at the address
  that the ingress or service has; that is unknown, not bad.
"""

with DAG(
    "certificates",
    **runbook(
        "upkeep",
        operation="infra_ops.operations.certificates.operation.RenewCertificates",
        doc=DOC,
        pods="upkeep",
        schedule="37 5 * * *",
    ),
):
    carried_out(Apply(task_id="renew_servers"), Apply(task_id="renew_agents"))
