"""What Airflow may do in the cluster: the product's own manifests, and kubeconfigs of the accounts that they define."""

import asyncio
from collections.abc import Iterator
from typing import Any

import yaml

from lab import files, kubeconfigs
from lab.kube import ApiError, Kube
from lab.layout import PROJECT, Lab
from lab.services import airflow_environment
from lab.services.airflow_environment import LOCAL_WORKER, TRIGGERER
from lab.services.airflow_settings import LOGS_CLAIM, NAMESPACE, SCHEDULER_ACCOUNT, Executor
from lab.supervisor.service import ServiceError

MANIFESTS = PROJECT / "include" / "manifests" / "infra-ops"
MANAGER = "infra-ops"


async def grant(lab: Lab, executor: Executor) -> None:
    """Apply include/manifests/infra-ops and write the kubeconfigs of Airflow's accounts, with fresh tokens.

    Workers in pods (executor kubernetes) also get what their pod template mounts. Raises ServiceError.
    """
    try:
        async with Kube(lab.admin_kubeconfig) as kube:
            mounts = _workers_mounts(lab) if executor == "kubernetes" else ()
            for item in (*_chart(), *_manifests(), *_local_worker(), *mounts, *tools_mounts(lab)):
                await kube.apply(item, manager=MANAGER, force=True)
        accounts = (LOCAL_WORKER, SCHEDULER_ACCOUNT, TRIGGERER)
        await asyncio.gather(*(_write_kubeconfig(lab, name) for name in accounts))
    except (ApiError, OSError) as error:
        raise ServiceError(f"the cluster did not accept what Airflow needs in it: {error}") from error


async def _write_kubeconfig(lab: Lab, account: str) -> None:
    server, authority = kubeconfigs.server_of(lab.admin_kubeconfig)
    token = await kubeconfigs.service_account_token(lab.admin_kubeconfig, NAMESPACE, account)
    authority_file = lab.kubeconfigs / "authority.crt"
    lab.kubeconfigs.mkdir(mode=0o700, exist_ok=True)
    files.write(authority_file, authority)
    kubeconfigs.write(lab.kubeconfigs / account, server, authority_file, token)


def _manifests() -> Iterator[dict[str, Any]]:
    for name in yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]:
        yield from yaml.safe_load_all((MANIFESTS / name).read_text())


def _local_worker() -> Iterator[dict[str, Any]]:
    """One account with the rights of all areas: LocalExecutor cannot run each task as its area's account."""
    yield _account(LOCAL_WORKER)
    areas = {item["metadata"]["name"] for item in _manifests() if _is_area(item)}
    for item in _manifests():
        if any(subject["name"] in areas for subject in item.get("subjects", [])):
            metadata = {**item["metadata"], "name": f"{item['metadata']['name']}-{LOCAL_WORKER}"}
            subject = {"kind": "ServiceAccount", "name": LOCAL_WORKER, "namespace": NAMESPACE}
            yield {**item, "metadata": metadata, "subjects": [subject]}


def _is_area(item: dict[str, Any]) -> bool:
    return (item["kind"], item["metadata"].get("namespace")) == ("ServiceAccount", NAMESPACE)


def _account(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}}


def _chart() -> Iterator[dict[str, Any]]:
    """What Airflow's Helm chart brings on a real cluster: a namespace, accounts, the right to start workers."""
    place = {"namespace": NAMESPACE}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield from (_account(SCHEDULER_ACCOUNT), _account(TRIGGERER))
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "airflow-pod-launcher-role", **place},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["pods"],
                "verbs": ["create", "list", "get", "patch", "watch", "delete"],
            },
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        ],
    }
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "airflow-pod-launcher-rolebinding", **place},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "airflow-pod-launcher-role"},
        "subjects": [{"kind": "ServiceAccount", "name": SCHEDULER_ACCOUNT, **place}],
    }


def _item(kind: str, namespace: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def _workers_mounts(lab: Lab) -> Iterator[dict[str, Any]]:
    """What include/manifests/infra-ops/pod-templates refers to."""
    yield _item("ConfigMap", NAMESPACE, "airflow-worker", data=airflow_environment.of_workers(lab))
    yield from _described(lab, NAMESPACE)
    storage = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    yield _item("PersistentVolumeClaim", NAMESPACE, LOGS_CLAIM, spec=storage)


def tools_mounts(lab: Lab) -> Iterator[dict[str, Any]]:
    """What each of include/manifests/infra-ops/tool-pods refers to, in its namespace and nowhere else."""
    for file in sorted((MANIFESTS / "tool-pods").glob("*.yaml")):
        pod = yaml.safe_load(file.read_text())
        namespace, wanted = pod["metadata"]["namespace"], set(_referred(pod["spec"]))
        toolbox = _item("ConfigMap", namespace, "toolbox", data=airflow_environment.of_tools(lab))
        for item in (toolbox, *_described(lab, namespace)):
            if (item["kind"], item["metadata"]["name"]) in wanted:
                yield item


def _referred(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and name of each ConfigMap and Secret that a pod reads its environment from or mounts."""
    for container in spec["containers"]:
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"]
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]


def _described(lab: Lab, namespace: str) -> Iterator[dict[str, Any]]:
    """Whom to trust, what the cluster is meant to be, and the key for its nodes."""
    yield _item("ConfigMap", namespace, "infra-ops-ca", data={"ca.crt": (lab.certs / "ca.crt").read_text()})
    described = {name: (lab.include / name).read_text() for name in ("cluster.yaml", "roadmap.yaml", "checks.yaml")}
    yield _item("ConfigMap", namespace, "infra-ops-include", data=described)
    material = {name: (lab.ssh / name).read_text() for name in ("id_ed25519", "known_hosts")}
    yield _item("Secret", namespace, "node-ssh", stringData=material)
