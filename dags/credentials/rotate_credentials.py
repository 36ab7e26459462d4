"""Rotate ALL exposed credentials (roadmap, phase 3, week 1)."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from infra_ops.airflow.runbook import carried_out, runbook
from infra_ops.airflow.sensors import CheckSensor
from infra_ops.airflow.steps import Apply

DOC = """
### Rotate credentials

Gives each credential that is due a new password. The new value is stored before anything else knows it; the service
accepts it beside the old one; it becomes the current one; every Secret that holds a copy gets it, and every workload
that reads such a Secret starts again; when all of them run on the new value, the old one is taken away, and one probe
proves that the service refuses it.

PostgreSQL: two users take turns, both members of one owner. Flower: accepts both passwords for a while. With these no
login fails. Grafana, Pi-hole, DSM and Airflow know one password: it is set, and consumers get it in the same task, so a
consumer may be refused for the seconds in between. Tokens and open pages of Airflow's administrator stay good for a
day.

A credential is due when its stored value was adopted (so it was exposed) or nears the age of `rotate_every_days` in
`include/cluster.yaml`, up to two weeks earlier so that not all come at once. Killed anywhere, run again, it ends the
same. `rollback` puts the value before the current one back, by the same steps.

#### Triage

- `preflight`: *was never adopted*: run `python -m infra_ops adopt <id>`. *Fixes the user name*: take the name from the
  Secret too. *Refuses the stored value*: somebody changed it in the service; adopt the value that is good now.
- `plan`: *stands where the inventory knows nothing of it*: somebody has a copy; write the place into the inventory.
  *Holds neither of the two*: somebody changed a copy by hand; put the stored value back. *Has the same value as*:
  rotate both at once.
- `accepted`: the service does not take the new value yet. Is its rollout stuck? `kubectl -n <namespace> get pods`.
- `introduce`, `switch`: safe to clear; each goes on where it stopped. *Refuses every stored password*: somebody changed
  it at the service, or too many wrong logins have locked the user for a while (Grafana: five minutes). The store keeps
  both.
- `moved`: names each consumer that is late, and the sessions that hold on to the old login. Mend that workload, clear.
- `retire`: *still has sessions*: a client that the inventory does not know logs in with the old value; add it there.
- `retired`: the service starts again without the old value; like `accepted`.
- `finish`: *does not behave as it must*: look at the service's log before anything else.

Until its value has become the current one, a failing run takes back what it did for a credential. After that the way
is forward: mend the cause, run it again; or go back with `rollback` once it has ended.
"""

with DAG(
    "rotate_credentials",
    **runbook(
        "credentials",
        operation="infra_ops.operations.rotation.operation.RotateCredentials",
        doc=DOC,
        schedule="23 3 * * *",
        params={
            "credentials": Param(
                None,
                type=["null", "array"],
                items={"type": "string"},
                title="Credentials",
                description="Ids from include/cluster.yaml, one a line: postgres_appuser, flower_celery, "
                "flower_financial_screener, synology_admin, pihole_admin, grafana_admin, airflow_admin. None means all "
                "that are due.",
            ),
            "force": Param(
                False,
                type="boolean",
                title="Rotate young ones too",
                description="Rotate what is not due yet, for example because it has leaked again; all of them, when no "
                "credential is named.",
            ),
            "rollback": Param(
                False,
                type="boolean",
                title="Put the previous value back",
                description="For the credentials named above, when something cannot live with the new value.",
            ),
        },
    ),
):
    carried_out(
        Apply(task_id="introduce"),
        CheckSensor(task_id="accepted", check="K010"),
        Apply(task_id="switch"),
        CheckSensor(task_id="moved", check="K011"),
        Apply(task_id="retire"),
        CheckSensor(task_id="retired", check="K010"),
        Apply(task_id="finish"),
    )
