"""What a lab tells about itself in its state file."""

import os
from typing import Any

from lab import kubeconfigs
from lab.inventory import GIT
from lab.layout import Lab
from lab.services import airflow_settings, apiserver, nodes, openbao, pihole, proxy, synology
from lab.state import State

# Servers in pods that people look at, by the names of their Services.
IN_PODS = {
    "flower-celery": "celery/flower:5555",
    "flower-financial-screener": "financial-screener/flower:5555",
    "grafana": "monitoring/grafana:80",
}


def describe(lab: Lab) -> State:
    """Addresses, ports, and where its credentials are, of the lab that this process runs."""
    return {
        "pid": os.getpid(),
        "ports": lab.ports.numbers,
        "addresses": _addresses(lab),
        "certificate_authority": str(lab.certs / "ca.crt"),
        "kubeconfig": str(lab.admin_kubeconfig),
        "ssh": {"user": nodes.USER, "key": str(nodes.key_file(lab))},
        "credentials": {file.name: str(file) for file in sorted(lab.credentials.glob("[!.]*"))},
        "logs": str(lab.log),
    }


def _addresses(lab: Lab) -> dict[str, Any]:
    addresses: dict[str, Any] = {
        "apiserver": kubeconfigs.server_of(lab.given_kubeconfig)[0] if lab.given_kubeconfig else apiserver.url(lab),
        "kubelet": f"https://127.0.0.1:{lab.ports.of('kubelet')}",
        "postgres": f"127.0.0.1:{lab.ports.of('postgres')}",
        "openbao": openbao.url(lab),
        "git": f"ssh://{GIT}@127.0.0.1:{lab.ports.of(GIT)}",
        "pihole": pihole.url(lab),
        "synology": synology.url(lab),
        "servers": {name: f"https://127.0.0.1:{port}" for name, port in apiserver.servers(lab).items()},
        "nodes": {name: f"127.0.0.1:{port}" for name, port in nodes.addresses(lab).items()},
    }
    if "airflow" in lab.ports.numbers:
        addresses["airflow"] = airflow_settings.url(lab)
    for name, service in IN_PODS.items():
        if address := proxy.addresses(lab).get(service):
            addresses[name] = f"http://{address}"
    return addresses
