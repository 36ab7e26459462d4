"""The ServiceAccount admission step: every pod runs as an account and gets its token mounted.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#serviceaccount-admission-controller
"""

from __future__ import annotations

from typing import Any

from lab.apiserver import errors, metadata
from lab.apiserver.pods import containers
from lab.apiserver.registry import Registry
from lab.apiserver.resources import Resource

Object = dict[str, Any]

ACCOUNTS = ("", "serviceaccounts")
DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607  # K3s' and kube-apiserver's mark of an injected token


def admit(registry: Registry, resource: Resource, pod: Object) -> None:
    """Give a new pod its account and the projected volume with its token. Raises ApiError 403 without the account."""
    spec, own = pod["spec"], pod["metadata"]
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = registry.find(registry.resource(*ACCOUNTS), own["namespace"], name)
    if account is None:
        message = f'error looking up service account {own["namespace"]}/{name}: serviceaccount "{name}" not found'
        raise errors.forbidden(resource, own.get("name", ""), message)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]
    wanted = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
    if wanted:
        _mount(spec)


def _mount(spec: Object) -> None:
    volume = metadata.generate_name("kube-api-access-")
    without = [container for container in containers(spec) if not _has_mount(container)]
    for container in without:
        mounts = container.setdefault("volumeMounts", [])
        mounts.append({"name": volume, "readOnly": True, "mountPath": MOUNT_PATH})
    if without:
        spec.setdefault("volumes", []).append({"name": volume, "projected": _projection()})


def _has_mount(container: Object) -> bool:
    return any(mount.get("mountPath") == MOUNT_PATH for mount in container.get("volumeMounts") or [])


def _projection() -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
    }
