"""Environments of Airflow's processes: where things are, and the connections. Never a secret."""

import json
from pathlib import PurePath, PurePosixPath

from lab import power
from lab.layout import PROJECT, Lab
from lab.services import nodes, openbao
from lab.services.airflow_settings import home, url

WORKER_ACCOUNT = "infra-ops-upkeep"
SIDECAR_IMAGE = "alpine:3.22"
MOUNTS = PurePosixPath("/etc/infra-ops")  # where the pod template of the workers mounts what they need


def of_components(lab: Lab) -> dict[str, str]:
    """What the four components, and tasks that run in them, get on top of the lab's own environment.

    The nodes' host keys are in it, so the nodes must have been started once.
    """
    kubeconfig = str(lab.kubeconfigs / WORKER_ACCOUNT)
    return {
        "AIRFLOW_HOME": str(home(lab)),
        "PYTHONPATH": f"{PROJECT / 'plugins'}:{PROJECT}",
        "KUBECONFIG": kubeconfig,
        "INFRA_OPS_INCLUDE": str(lab.include),
        "INFRA_OPS_ORIGIN": "lab",
        "VAULT_ADDR": openbao.url(lab),
        "VAULT_CACERT": str(lab.certs / "ca.crt"),
        "VAULT_ROLE_ID_FILE": str(lab.credentials / "openbao_role_id"),
        "VAULT_SECRET_ID_FILE": str(lab.credentials / "openbao_secret_id"),
        # The connection names the file too, so that a lab in some cluster's pod never speaks to that cluster.
        **_connections(lab, {"kube_config_path": kubeconfig}, nodes.key_file(lab)),
    }


def of_workers(lab: Lab) -> dict[str, str]:
    """What a worker in a pod gets: it has an identity of its own for Kubernetes and OpenBao."""
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url(lab)}/execution/",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/opt/airflow/logs",
        "INFRA_OPS_INCLUDE": str(lab.include),
        "INFRA_OPS_ORIGIN": "lab",
        "VAULT_ADDR": openbao.url(lab),
        "VAULT_CACERT": str(MOUNTS / "ca" / "ca.crt"),
        "VAULT_KUBERNETES_ROLE": WORKER_ACCOUNT,
        **_connections(lab, {"in_cluster": True}, MOUNTS / "ssh" / "id_ed25519"),
    }


def _connections(lab: Lab, cluster: dict[str, object], key_file: PurePath) -> dict[str, str]:
    kubernetes = {**cluster, "xcom_sidecar_container_image": SIDECAR_IMAGE}
    return {
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps({"conn_type": "kubernetes", "extra": kubernetes}),
        **{f"AIRFLOW_CONN_NODE_{name.upper().replace('-', '_')}": _node(lab, name, key_file) for name in power.names()},
    }


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
