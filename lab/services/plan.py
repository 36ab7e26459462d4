"""Which services a lab has."""

import dataclasses

from lab import inventory
from lab.layout import Lab
from lab.services import (
    airflow,
    apiserver,
    celery,
    git,
    kubelet,
    nodes,
    openbao,
    pihole,
    postgres,
    proxy,
    synology,
    valkey,
)
from lab.services.airflow_settings import Executor
from lab.supervisor.service import Service


def services(
    lab: Lab, *, with_celery: bool = False, with_airflow: bool = True, executor: Executor = "local"
) -> list[Service]:
    """All services of this lab. On a given API server the lab does not bring its own."""
    chosen = [postgres.postgres(lab), valkey.service(lab), nodes.nodes(lab), openbao.openbao(lab)]
    chosen += [pihole.service(lab), synology.service(lab)]
    repository = inventory.load().repository
    if repository and repository.deploy_key and git.installed():
        chosen += [git.service(lab, repository)]
    chosen += [proxy.proxy(lab, with_airflow=with_airflow), kubelet.kubelet(lab)]
    chosen += [apiserver.controllers(lab)]
    if lab.given_kubeconfig is None:
        chosen += [apiserver.apiserver(lab)]
    if with_airflow:
        chosen += airflow.services(lab, executor)
    if with_celery:
        chosen += [celery.worker(lab)]
    names = {service.name for service in chosen}
    return [
        dataclasses.replace(service, after=tuple(name for name in service.after if name in names)) for service in chosen
    ]
