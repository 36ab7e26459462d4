"""Environments of Airflow's processes: where things are, and the connections. Never a secret."""

import json
from pathlib import PurePath, PurePosixPath

from lab import power
from lab.layout import PROJECT, Lab
from lab.services import nodes, openbao, openbao_setup
from lab.services.airflow_settings import home, url

# Service accounts in the namespace airflow. Under LocalExecutor the tasks of all areas run as LOCAL_WORKER.
LOCAL_WORKER = "lab-worker"
TRIGGERER = "airflow-triggerer"
SIDECAR_IMAGE = "alpine:3.22"
MOUNTS = PurePosixPath("/etc/infra-ops")  # where the pod template of the workers mounts what they need


def of_components(lab: Lab) -> dict[str, str]:
    """What the components, and tasks that run in them, get on top of the lab's own environment.

    The nodes' host keys are in it, so the nodes must have been started once.
    """
    return {
        "AIRFLOW_HOME": str(home(lab)),
        "PYTHONPATH": f"{PROJECT / 'plugins'}:{PROJECT}",
        "INFRA_OPS_INCLUDE": str(lab.include),
        "INFRA_OPS_ORIGIN": "lab",
        "INFRA_OPS_BACKUPS": str(lab.data("backups")),
        "INFRA_OPS_SSH": str(lab.ssh),
        "VAULT_ADDR": openbao.url(lab),
        "VAULT_CACERT": str(lab.certs / "ca.crt"),
        "INFRA_OPS_CACERT": str(lab.certs / "ca.crt"),
        **_nodes(lab, nodes.key_file(lab)),
        **_identity(lab, LOCAL_WORKER, "worker"),
    }


def of_triggerer(lab: Lab) -> dict[str, str]:
    """The same for the triggerer, where sensors measure: it may look and change nothing."""
    return {**of_components(lab), **_identity(lab, TRIGGERER, "triggerer")}


def of_workers(lab: Lab) -> dict[str, str]:
    """What a worker in a pod gets: it has an identity of its own for Kubernetes and OpenBao."""
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url(lab)}/execution/",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/opt/airflow/logs",
        "INFRA_OPS_INCLUDE": str(MOUNTS / "include"),
        "INFRA_OPS_SSH": str(MOUNTS / "ssh"),
        "INFRA_OPS_ORIGIN": "lab",
        "VAULT_ADDR": openbao.url(lab),
        "VAULT_CACERT": str(MOUNTS / "ca" / "ca.crt"),
        "INFRA_OPS_CACERT": str(MOUNTS / "ca" / "ca.crt"),
        "VAULT_KUBERNETES_ROLE": "infra-ops-upkeep",  # the pod templates of other areas name theirs
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": _kubernetes(in_cluster=True),
        **_nodes(lab, MOUNTS / "ssh" / "id_ed25519"),
    }


def of_tools(lab: Lab) -> dict[str, str]:
    """What a tool pod gets; its template names its identity."""
    return {
        "INFRA_OPS_INCLUDE": str(MOUNTS / "include"),  # on the real cluster the image says so
        "INFRA_OPS_ORIGIN": "lab",
        "VAULT_ADDR": openbao.url(lab),
        "VAULT_CACERT": str(MOUNTS / "ca" / "ca.crt"),
    }


def _identity(lab: Lab, account: str, role: str) -> dict[str, str]:
    """Who a process outside of the cluster is, for Kubernetes and for OpenBao (openbao_setup.APP_ROLES)."""
    kubeconfig = str(lab.kubeconfigs / account)
    role_id, secret_id = openbao_setup.role_files(lab, role)
    return {
        "KUBECONFIG": kubeconfig,
        # The connection names the file too, so that a lab in some cluster's pod never speaks to that cluster.
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": _kubernetes(kube_config_path=kubeconfig),
        "VAULT_ROLE_ID_FILE": str(role_id),
        "VAULT_SECRET_ID_FILE": str(secret_id),
    }


def _kubernetes(**extra: object) -> str:
    extra["xcom_sidecar_container_image"] = SIDECAR_IMAGE
    return json.dumps({"conn_type": "kubernetes", "extra": extra})


def _nodes(lab: Lab, key_file: PurePath) -> dict[str, str]:
    return {f"AIRFLOW_CONN_NODE_{name.upper().replace('-', '_')}": _node(lab, name, key_file) for name in power.names()}


def _node(lab: Lab, name: str, key_file: PurePath) -> str:
    """The SSH connection of a node: its host key is pinned, and the private key stays a file."""
    extra = {
        "key_file": str(key_file),
        "host_key": nodes.host_key(lab, name).strip(),
        "no_host_key_check": False,
        "look_for_keys": False,
        "conn_timeout": 10,
    }
    port = nodes.addresses(lab)[name]
    return json.dumps({"conn_type": "ssh", "host": "127.0.0.1", "port": port, "login": nodes.USER, "extra": extra})
