"""airflow.cfg of the lab's Airflow, which holds its settings and its secrets."""

import base64
import configparser
import io
import secrets
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from lab import credentials, files
from lab.layout import PROJECT, Lab

Executor = Literal["local", "kubernetes"]

NAMESPACE = "airflow"
SCHEDULER_ACCOUNT = "airflow-scheduler"
POD_TEMPLATE = PROJECT / "include" / "manifests" / "infra-ops" / "pod-templates" / "upkeep.yaml"
LOGS_CLAIM = "airflow-logs"


def url(lab: Lab) -> str:
    """Where Airflow's UI and REST API are."""
    return f"http://127.0.0.1:{lab.ports.of('airflow')}"


def home(lab: Lab) -> Path:
    """AIRFLOW_HOME."""
    return lab.data("airflow")


def write_config(lab: Lab, executor: Executor) -> None:
    """Write airflow.cfg, for its owner's eyes only: it holds secrets, invented at the first start and kept."""
    home(lab).mkdir(parents=True, exist_ok=True)
    _logs(lab, executor).mkdir(parents=True, exist_ok=True)
    lab.data("backups").mkdir(parents=True, exist_ok=True)
    config = configparser.RawConfigParser()
    config.read_dict(_settings(lab, executor))
    for section, options in _secrets(lab).items():
        for option, value in options.items():
            config[section][option] = value.replace("%", "%%")  # Airflow reads the file with interpolation
    text = io.StringIO()
    config.write(text)
    files.write(home(lab) / "airflow.cfg", text.getvalue())


def _logs(lab: Lab, executor: Executor) -> Path:
    """Where the API server reads what tasks wrote: workers in pods write to a volume that both share."""
    if executor == "kubernetes":
        return lab.data("kubelet") / "claims" / NAMESPACE / LOGS_CLAIM
    return home(lab) / "logs"


def _settings(lab: Lab, executor: Executor) -> dict[str, dict[str, str | int]]:
    logs = _logs(lab, executor)
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
        # FAB's own API, by which users get new passwords, otherwise takes nothing but the cookies of its pages.
        "fab": {"auth_backends": "airflow.providers.fab.auth_manager.api.auth.backend.basic_auth"},
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
            "namespace": NAMESPACE,
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
