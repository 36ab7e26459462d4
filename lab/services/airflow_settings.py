"""How the lab's Airflow is configured: airflow.cfg, which holds the secrets, and an environment without any."""

import base64
import configparser
import io
import json
import secrets
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from lab import credentials, files
from lab.layout import PROJECT, Lab
from lab.services import nodes, openbao

Executor = Literal["local", "kubernetes"]

WORKER_NAMESPACE = "airflow"
WORKER_ACCOUNT = "infra-ops-upkeep"
SCHEDULER_ACCOUNT = "airflow-scheduler"
POD_TEMPLATE = PROJECT / "include" / "manifests" / "infra-ops" / "pod-templates" / "upkeep.yaml"
SIDECAR_IMAGE = "alpine:3.22"


def url(lab: Lab) -> str:
    """Where Airflow's UI and REST API are."""
    return f"http://127.0.0.1:{lab.ports.of('airflow')}"


def home(lab: Lab) -> Path:
    """AIRFLOW_HOME."""
    return lab.data("airflow")


def write_config(lab: Lab, executor: Executor) -> None:
    """Write airflow.cfg, for its owner's eyes only: it holds secrets, invented at the first start and kept."""
    (home(lab) / "logs").mkdir(parents=True, exist_ok=True)
    config = configparser.RawConfigParser()
    config.read_dict(_settings(lab, executor))
    for section, options in _secrets(lab).items():
        for option, value in options.items():
            config[section][option] = value.replace("%", "%%")  # Airflow reads the file with interpolation
    text = io.StringIO()
    config.write(text)
    files.write(home(lab) / "airflow.cfg", text.getvalue())


def environment(lab: Lab) -> dict[str, str]:
    """What every component gets on top of the lab's environment: where things are, never a secret.

    The nodes' host keys are in it, so the nodes must have been started once.
    """
    kubeconfig = str(lab.kubeconfigs / WORKER_ACCOUNT)
    # The connection names the file too, so that a lab in some cluster's pod never speaks to that cluster.
    kubernetes = {"kube_config_path": kubeconfig, "xcom_sidecar_container_image": SIDECAR_IMAGE}
    return {
        "AIRFLOW_HOME": str(home(lab)),
        "PYTHONPATH": f"{PROJECT / 'plugins'}:{PROJECT}",
        "KUBECONFIG": kubeconfig,
        "VAULT_ADDR": openbao.url(lab),
        "VAULT_CACERT": str(lab.certs / "ca.crt"),
        "VAULT_ROLE_ID_FILE": str(lab.credentials / "openbao_role_id"),
        "VAULT_SECRET_ID_FILE": str(lab.credentials / "openbao_secret_id"),
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps({"conn_type": "kubernetes", "extra": kubernetes}),
        **{f"AIRFLOW_CONN_NODE_{name.upper().replace('-', '_')}": _node(lab, name) for name in nodes.names()},
    }


def _node(lab: Lab, name: str) -> str:
    """The SSH connection of a node: its host key is pinned, and the private key stays a file."""
    extra = {
        "key_file": str(nodes.key_file(lab)),
        "host_key": nodes.host_key(lab, name).strip(),
        "no_host_key_check": False,
        "look_for_keys": False,
        "conn_timeout": 10,
    }
    port = nodes.addresses(lab)[name]
    return json.dumps({"conn_type": "ssh", "host": "127.0.0.1", "port": port, "login": nodes.USER, "extra": extra})


def _settings(lab: Lab, executor: Executor) -> dict[str, dict[str, str | int]]:
    logs = home(lab) / "logs"
    settings: dict[str, dict[str, str | int]] = {
        "core": {
            "auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "dags_folder": str(PROJECT / "dags"),
            "plugins_folder": str(PROJECT / "plugins"),
            "executor": "LocalExecutor",
            "execution_api_server_url": f"{url(lab)}/execution/",
            "load_examples": "False",
            "parallelism": 8,
            "dagbag_import_timeout": 120,
        },
        "api": {"base_url": url(lab), "workers": 1},
        "api_auth": {"jwt_issuer": "infra-ops-lab"},
        "execution_api": {"jwt_expiration_time": 3600},
        "database": {},
        "scheduler": {"task_queued_timeout": 1800},
        "dag_processor": {"min_file_process_interval": 300, "dag_file_processor_timeout": 180},
        "logging": {
            "base_log_folder": str(logs),
            "dag_processor_child_process_log_directory": str(logs / "dag_processor"),
        },
        "usage_data_collection": {"enabled": "False"},
    }
    if executor == "kubernetes":
        settings["core"]["executor"] = "KubernetesExecutor"
        settings["kubernetes_executor"] = {
            "namespace": WORKER_NAMESPACE,
            "in_cluster": "False",
            "config_file": str(lab.kubeconfigs / SCHEDULER_ACCOUNT),
            "pod_template_file": str(POD_TEMPLATE),
        }
    return settings


def _secrets(lab: Lab) -> dict[str, dict[str, str]]:
    password = quote(credentials.read(lab.credentials, "airflow_database"), safe="")
    server = f"127.0.0.1:{lab.ports.of('postgres')}"
    return {
        "core": {"fernet_key": _kept(lab, "airflow_fernet_key")},
        "api": {"secret_key": _kept(lab, "airflow_secret_key")},
        "api_auth": {"jwt_secret": _kept(lab, "airflow_jwt_secret")},
        "database": {"sql_alchemy_conn": f"postgresql+psycopg2://airflow:{password}@{server}/airflow"},
    }


def _kept(lab: Lab, name: str) -> str:
    """A key that must stay the same as long as Airflow's database does; in the form of a Fernet key it suits all."""
    try:
        return credentials.read(lab.credentials, name)
    except LookupError:
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        credentials.store(lab.credentials, name, key)
        return key
