"""Do the means work by which everything else is done: a pod, SSH to a node, a worker, the secret store?"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from infra_ops.airflow.areas import worker_pod
from infra_ops.airflow.ground import GroundVerdict, WorkerLooks
from infra_ops.airflow.node_commands import NodeCommands
from infra_ops.airflow.tool_pod import ToolPod

DOC = """
### Ground check

Looks at the cluster in three ways and compares: a **pod** lists the nodes with its own service account, **SSH** asks
one K3s server for its version and etcd snapshots, a **worker** asks the API server and the secret store. It changes
nothing. It passes when all nodes are Ready, the three agree on version and nodes, the newest snapshot is younger than
6 h 30 min, and the secret store is unsealed and lets the worker in.

#### Triage

- `pod_lists_nodes`: *the API does not answer*: is K3s up on the servers? *The API refused*: are the service accounts
  and roles of `include/manifests/infra-ops/` applied? *Did not start*: the pod's
  events are in the log; most often the image cannot be pulled.
- `server_tells`: *cannot be reached*: is the node up, and does its host key still match the connection
  `node_<name>`? *Exit code*: the command's own words follow.
- `worker_looks`: as for the pod; if it names a `VAULT_` variable, the environment of the workers lacks it.
- `verdict`: its log has a sentence for each outcome. It also fails when one of the others could not look.
"""

with DAG(
    dag_id="ground_check",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=15),
    default_args={
        "owner": "infra-ops",
        "retries": 1,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": timedelta(minutes=5),
        "executor_config": worker_pod("upkeep"),
    },
    params={
        "server": Param(
            "rpi-1",
            type="string",
            pattern="^[a-z0-9][a-z0-9-]*$",
            description="The K3s server that is asked by SSH: a node with the role control-plane.",
        )
    },
    tags=["upkeep"],
    doc_md=DOC,
):
    server = "{{ params.server }}"

    # The tool may meet an API server that restarts, and the next try, too.
    pod = ToolPod(task_id="pod_lists_nodes", arguments=["nodes"], retries=2)
    node = NodeCommands(
        task_id="server_tells",
        node=server,
        commands={"version": "k3s --version", "snapshots": "sudo -n k3s etcd-snapshot ls"},
    )
    worker = WorkerLooks(task_id="worker_looks")

    GroundVerdict(task_id="verdict", server=server, pod=pod.output, node=node.output, worker=worker.output)
