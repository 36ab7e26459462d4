"""What is set up inside OpenBao: the KV v2 mount, the policies of include/manifests, and the two ways to log in."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

import hvac
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultError

from lab import credentials, kubeconfigs
from lab.kube import ApiError, Kube
from lab.layout import PROJECT, Lab
from lab.supervisor.service import ServiceError

MOUNT = "infra"
MANIFESTS = PROJECT / "include" / "manifests" / "infra-ops" / "openbao"
# Who logs in from outside of the cluster, and with which of the policies. Under LocalExecutor the tasks of all areas
# run as one identity.
APP_ROLES = {
    "worker": ("infra-ops-connections", "infra-ops-credentials", "infra-ops-destroyer"),
    "triggerer": ("infra-ops-sensors",),
}
REVIEWER = ("kube-system", "openbao-reviewer")  # may ask the API server whose token it was shown


async def set_up(lab: Lab, client: hvac.Client) -> None:
    """Bring the store to its wanted state. Running it again changes nothing but the reviewer's token.

    Role id and secret id of each of APP_ROLES go to files (see `role_files`).
    Raises ServiceError when OpenBao or the API server refuses.
    """
    try:
        reviewer_token = await _reviewer_token(lab)
        await asyncio.to_thread(set_up_store, lab, client)
        await asyncio.to_thread(_set_up_kubernetes, lab, client, reviewer_token)
    except (VaultError, ApiError) as error:
        raise ServiceError(f"setting up OpenBao failed: {error}") from error


def set_up_store(lab: Lab, client: hvac.Client) -> None:
    """The part that needs no API server: mount, policies and AppRoles. Raises VaultError."""
    _mount(client)
    for policy in sorted((MANIFESTS / "policies").glob("*.hcl")):
        client.sys.create_or_update_policy(policy.stem, policy.read_text())
    _enable_login(client, "approle")
    for role, policies in APP_ROLES.items():
        _set_up_app_role(lab, client, role, policies)


def role_files(lab: Lab, role: str) -> tuple[Path, Path]:
    """Where the role id and the secret id of one of APP_ROLES are."""
    return lab.credentials / f"openbao_{role}_role_id", lab.credentials / f"openbao_{role}_secret_id"


def _mount(client: hvac.Client) -> None:
    if f"{MOUNT}/" not in client.sys.list_mounted_secrets_engines()["data"]:
        client.sys.enable_secrets_engine("kv", path=MOUNT, options={"version": "2"})
    deadline = time.monotonic() + 15
    while True:  # a new mount refuses requests for about a second
        try:
            client.secrets.kv.v2.read_configuration(mount_point=MOUNT)
            break
        except InvalidRequest:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _set_up_app_role(lab: Lab, client: hvac.Client, role: str, policies: Sequence[str]) -> None:
    client.auth.approle.create_or_update_approle(role, token_policies=list(policies), token_ttl="1h")  # noqa: S106
    role_id = client.auth.approle.read_role_id(role)["data"]["role_id"]
    role_file, secret_file = role_files(lab, role)
    credentials.store(lab.credentials, role_file.name, role_id)
    if not _logs_in(client, role_id, secret_file):
        secret_id = client.auth.approle.generate_secret_id(role)["data"]["secret_id"]
        credentials.store(lab.credentials, secret_file.name, secret_id)


def _logs_in(client: hvac.Client, role_id: str, secret_file: Path) -> bool:
    try:
        client.auth.approle.login(role_id, secret_file.read_text(), use_token=False)
    except (FileNotFoundError, InvalidRequest, Forbidden, InvalidPath):
        return False
    return True


def _set_up_kubernetes(lab: Lab, client: hvac.Client, reviewer_token: str) -> None:
    _enable_login(client, "kubernetes")
    server, authority = kubeconfigs.server_of(lab.admin_kubeconfig)
    client.auth.kubernetes.configure(
        kubernetes_host=server,
        kubernetes_ca_cert=authority,
        token_reviewer_jwt=reviewer_token,
        disable_local_ca_jwt=True,  # OpenBao runs beside the cluster, not in it
    )
    for role in sorted((MANIFESTS / "roles").glob("*.json")):
        client.adapter.post(f"/v1/auth/kubernetes/role/{role.stem}", json=json.loads(role.read_text()))


def _enable_login(client: hvac.Client, method: str) -> None:
    if f"{method}/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method(method)


async def _reviewer_token(lab: Lab) -> str:
    namespace, name = REVIEWER
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    async with Kube(lab.admin_kubeconfig) as kube:
        for item in (account, binding):
            await kube.apply(item, manager="lab", force=True)
    return await kubeconfigs.service_account_token(lab.admin_kubeconfig, namespace, name)
