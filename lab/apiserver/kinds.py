"""What the server itself writes into objects of some kinds, and rules between fields that no schema states.

A new kind needs nothing here; these are the places where Kubernetes has code instead of schema
(k8s.io/kubernetes/pkg/registry/*/strategy.go and pkg/apis/*/validation).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.apiserver import customresources, pods, selectors, services
from lab.apiserver.errors import Cause
from lab.apiserver.resources import Resource

if TYPE_CHECKING:
    from lab.apiserver.registry import Registry

Object = dict[str, Any]
Prepare = Callable[["Object | None", Object, "Registry"], None]
Check = Callable[["Object | None", Object], list[Cause]]

DATA_BYTES = 1024 * 1024
CONTROLLER_UID, JOB_NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
REQUIRED_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def prepare(resource: Resource, old: Object | None, new: Object, registry: Registry) -> None:
    """Set the fields of ``new`` that are the server's to set; ``old`` is None for a new object."""
    step = _PREPARE.get(resource.id)
    if step:
        step(old, new, registry)


def check(resource: Resource, old: Object | None, new: Object) -> list[Cause]:
    """What relates several fields of ``new`` wrongly: (field, message) pairs."""
    causes = []
    template = pod_template(resource, new)
    if template:
        path, spec = template
        # A StatefulSet's pods get a volume for each of its claims.
        claims = (new.get("spec") or {}).get("volumeClaimTemplates") or [] if resource.kind == "StatefulSet" else []
        causes += pods.check(path, spec, {claim["metadata"].get("name", "") for claim in claims})
    step = _CHECK.get(resource.id)
    return causes + (step(old, new) if step else [])


def pod_template(resource: Resource, obj: Object) -> tuple[str, Object] | None:
    """The path and value of the pod template inside a workload, or of a pod's own spec; None for other kinds."""
    if resource.id == ("", "pods"):
        return "spec", {"metadata": obj["metadata"], "spec": obj.get("spec") or {}}
    if resource.custom or resource.kind not in _TEMPLATED:
        return None
    path, value = "", obj
    for step in _TEMPLATED[resource.kind]:
        path, value = f"{path}.{step}" if path else step, value.get(step) or {}
    return f"{path}.spec", {"metadata": value.get("metadata") or {}, "spec": value.get("spec") or {}}


_TEMPLATED = dict.fromkeys(
    ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController"), ("spec", "template")
) | {"CronJob": ("spec", "jobTemplate", "spec", "template"), "PodTemplate": ("template",)}


def _prepare_secret(old: Object | None, new: Object, registry: Registry) -> None:
    for key, text in (new.pop("stringData", None) or {}).items():
        new.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()


def _check_secret(old: Object | None, new: Object) -> list[Cause]:
    data = new.get("data") or {}
    causes = [
        (f"data[{key}]", "Required value") for key in REQUIRED_KEYS.get(new.get("type", ""), ()) if not data.get(key)
    ]
    size = 0
    for key, value in data.items():
        try:
            size += len(base64.b64decode(value, validate=True))
        except (ValueError, TypeError):
            causes.append((f"data[{key}]", "Invalid value: illegal base64 data"))
    if size > DATA_BYTES:
        causes.append(("data", f"Too long: may not be more than {DATA_BYTES} bytes"))
    return causes


def _check_configmap(old: Object | None, new: Object) -> list[Cause]:
    data, binary = new.get("data") or {}, new.get("binaryData") or {}
    causes = [
        (f"binaryData[{key}]", f'Invalid value: "{key}": duplicate of key present in data')
        for key in data.keys() & binary
    ]
    if sum(len(str(value).encode()) for value in [*data.values(), *binary.values()]) > DATA_BYTES:
        causes.append(("", f"Too long: may not be more than {DATA_BYTES} bytes"))
    return causes


def _prepare_namespace(old: Object | None, new: Object, registry: Registry) -> None:
    labels = new["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = new["metadata"]["name"]
    if old is None:
        new.setdefault("spec", {})["finalizers"] = ["kubernetes"]
        new["status"] = {"phase": "Active"}


def _prepare_claim(old: Object | None, new: Object, registry: Registry) -> None:
    if old is None:
        new["status"] = {"phase": "Pending"}


def _prepare_job(old: Object | None, new: Object, registry: Registry) -> None:
    spec = new.get("spec") or {}
    if old is not None or spec.get("manualSelector"):
        return
    own = new["metadata"]
    labels = {CONTROLLER_UID: own["uid"], JOB_NAME: own["name"]}
    labels |= {key.removeprefix("batch.kubernetes.io/"): value for key, value in labels.items()}
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    template["labels"] = {**(template.get("labels") or {}), **labels}
    spec["selector"] = {"matchLabels": {CONTROLLER_UID: own["uid"]}}


def _check_selector(old: Object | None, new: Object) -> list[Cause]:
    """A workload must select the pods that it makes."""
    spec = new.get("spec") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector") or {}
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return [("spec.selector", "Invalid value: empty selector is invalid for deployment")] if selector == {} else []
    if selectors.by_object(selector)(labels):
        return []
    shown = json.dumps(labels, separators=(",", ":"))
    return [("spec.template.metadata.labels", f"Invalid value: {shown}: `selector` does not match template `labels`")]


_PREPARE: dict[tuple[str, str], Prepare] = {
    ("", "pods"): pods.prepare,
    ("", "secrets"): _prepare_secret,
    ("", "namespaces"): _prepare_namespace,
    ("", "services"): services.prepare,
    ("", "persistentvolumeclaims"): _prepare_claim,
    ("", "persistentvolumes"): _prepare_claim,
    ("batch", "jobs"): _prepare_job,
    ("apiextensions.k8s.io", "customresourcedefinitions"): customresources.prepare,
}
_CHECK: dict[tuple[str, str], Check] = {
    ("", "secrets"): _check_secret,
    ("", "configmaps"): _check_configmap,
    ("apps", "deployments"): _check_selector,
    ("apps", "replicasets"): _check_selector,
    ("apps", "statefulsets"): _check_selector,
    ("apps", "daemonsets"): _check_selector,
    ("batch", "jobs"): _check_selector,
    ("apiextensions.k8s.io", "customresourcedefinitions"): customresources.check,
}
