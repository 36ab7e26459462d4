"""The proxy: addresses for the cluster's Services, which is where everything of the lab finds them."""

import json
import sys
from pathlib import Path

from lab import inventory
from lab.kube import ApiError, Kube
from lab.layout import Lab
from lab.nodes.machine import NAS
from lab.seed.apply import seed_places
from lab.seed.cluster import load
from lab.seed.objects import Object, places
from lab.services import apiserver, nodes, pihole, synology
from lab.supervisor.service import Service, ServiceError

USER = "system:kube-proxy"
# Ports of Services that a supervised server of the lab stands behind, and the name of that server's own port.
BACKENDS = {"databases/postgresql:5432": "postgres", "redis/redis:6379": "valkey"}
AIRFLOW = {"airflow/airflow-api-server:8080": "airflow"}  # one more where the lab's own Airflow runs


def proxy(lab: Lab, *, with_airflow: bool) -> Service:
    """`python -m lab.proxy`; ready when every Service of the seed has an address."""
    kubeconfig = lab.given_kubeconfig or lab.kubeconfigs / "proxy"
    backends = BACKENDS | (AIRFLOW if with_airflow else {})

    async def prepare() -> None:
        lab.data("proxy").mkdir(parents=True, exist_ok=True)
        _file(lab).unlink(missing_ok=True)  # what an earlier start told no longer holds
        try:
            async with Kube(lab.admin_kubeconfig) as kube:
                for item in _rights():
                    await kube.apply(item, manager="lab", force=True)
            await seed_places(lab.admin_kubeconfig)
        except* (ApiError, OSError) as refused:  # objects are applied side by side, so several may be refused at once
            reasons = sorted({str(error) for error in refused.exceptions})
            raise ServiceError(f"the cluster could not be seeded: {reasons[0]}") from refused

    async def ready() -> bool:
        return _seeded() <= addresses(lab).keys()

    async def finish() -> None:
        places = {**addresses(lab), **_outside(lab)}
        ssh = {**nodes.addresses(lab), NAS: lab.ports.of(NAS), inventory.GIT: lab.ports.of(inventory.GIT)}
        inventory.write(lab.include, places, inventory.Ports(ssh, apiserver.servers(lab)), with_airflow=with_airflow)

    return Service(
        name="proxy",
        command=(
            *(sys.executable, "-m", "lab.proxy", "--kubeconfig", str(kubeconfig)),
            *("--root", str(lab.data("proxy")), "--addresses", str(_file(lab))),
            *(
                word
                for service, server in backends.items()
                for word in ("--backend", f"{service}=127.0.0.1:{lab.ports.of(server)}")
            ),
        ),
        after=("apiserver",),
        prepare=prepare,
        ready=ready,
        finish=finish,
    )


def addresses(lab: Lab) -> dict[str, str]:
    """Where each port of a Service is: `namespace/name:port` -> `127.0.0.1:port`; empty while no proxy runs."""
    try:
        told: dict[str, str] = json.loads(_file(lab).read_text())
    except FileNotFoundError:
        return {}
    return told


def _outside(lab: Lab) -> dict[str, str]:
    """Where those are that the inventory names and that are no Services, by `host:port`."""
    return {**pihole.addresses(lab), **synology.addresses(lab)}


def _file(lab: Lab) -> Path:
    return lab.root / "addresses.json"


def _seeded() -> set[str]:
    """The ports of the seed's Services."""
    services = [item for item in places(load()) if item["kind"] == "Service"]
    return {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}:{entry['port']}"
        for item in services
        for entry in item["spec"]["ports"]
    }


def _rights() -> list[Object]:
    """A real kube-proxy reads EndpointSlices; this one reads pods (lab/proxy/view.py)."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "lab-proxy"}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "lab-proxy"}}
    rule = {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list", "watch"]}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    return [
        {**rbac, "kind": "ClusterRole", "rules": [rule]},
        {**rbac, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [user]},
    ]
