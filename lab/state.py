"""The lab's state file: where everything is, for people and programs that use a running lab."""

import json
import os
from pathlib import Path
from typing import Any

from lab import files, kubeconfigs
from lab.layout import Lab
from lab.services import celery, nodes, openbao
from lab.services.airflow_settings import url as airflow_url
from lab.services.apiserver import url as apiserver_url

State = dict[str, Any]


def path(root: Path) -> Path:
    """The state file of the lab at that root."""
    return root / "state.json"


def load(root: Path) -> State:
    """What the last start wrote; empty when there never was one. Raises ValueError when the file is damaged."""
    try:
        state: State = json.loads(path(root).read_text())
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise ValueError(f"{path(root)} is damaged ({error}): remove it, and the next start picks new ports") from None
    return state


def save(lab: Lab) -> State:
    """Write, for the lab that this process runs, its addresses, ports, and where its credentials are."""
    state = {
        "pid": os.getpid(),
        "ports": lab.ports.numbers,
        "addresses": _addresses(lab),
        "certificate_authority": str(lab.certs / "ca.crt"),
        "kubeconfig": str(lab.admin_kubeconfig),
        "credentials": {file.name: str(file) for file in sorted(lab.credentials.glob("[!.]*"))},
        "logs": str(lab.log),
    }
    files.write(path(lab.root), json.dumps(state, indent=2) + "\n")
    return state


def _addresses(lab: Lab) -> dict[str, Any]:
    optional = {"airflow": airflow_url(lab)} if "airflow" in lab.ports.numbers else {}
    for name in celery.FLOWERS:
        if name in lab.ports.numbers:
            optional[name] = f"http://127.0.0.1:{lab.ports.of(name)}"
    return {
        "apiserver": kubeconfigs.server_of(lab.given_kubeconfig)[0] if lab.given_kubeconfig else apiserver_url(lab),
        "kubelet": f"https://127.0.0.1:{lab.ports.of('kubelet')}",
        "postgres": f"127.0.0.1:{lab.ports.of('postgres')}",
        "openbao": openbao.url(lab),
        "nodes": {name: f"127.0.0.1:{port}" for name, port in nodes.addresses(lab).items()},
        **optional,
    }
