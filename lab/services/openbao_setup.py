"""What is set up inside OpenBao: the KV v2 mount, a reading policy, and the two ways to log in."""

import asyncio
import time

import hvac
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultError

from lab import credentials, kubeconfigs
from lab.kube import ApiError, Kube
from lab.layout import Lab
from lab.supervisor.service import ServiceError

MOUNT = "infra"
# Reads current credentials and Airflow's connections; writes nothing. Rotating identities come with the rotation.
READER = "infra-ops-reader"
READER_POLICY = f"""
path "{MOUNT}/data/svc/*" {{ capabilities = ["read"] }}
path "{MOUNT}/metadata/svc/*" {{ capabilities = ["read", "list"] }}
path "{MOUNT}/data/airflow/*" {{ capabilities = ["read"] }}
"""
APP_ROLE = "airflow"  # for what runs outside of the cluster
KUBERNETES_ROLE = "infra-ops-upkeep"  # for pods, by their service account
POD_ACCOUNT = ("airflow", "infra-ops-upkeep")
REVIEWER = ("kube-system", "openbao-reviewer")  # may ask the API server whose token it was shown


async def set_up(lab: Lab, client: hvac.Client) -> None:
    """Bring the store to its wanted state. Running it again changes nothing but the reviewer's token.

    AppRole's role id and secret id go to the credential files openbao_role_id and openbao_secret_id.
    Raises ServiceError when OpenBao or the API server refuses.
    """
    try:
        reviewer_token = await _reviewer_token(lab)
        await asyncio.to_thread(set_up_store, lab, client)
        await asyncio.to_thread(_set_up_kubernetes, lab, client, reviewer_token)
    except (VaultError, ApiError) as error:
        raise ServiceError(f"setting up OpenBao failed: {error}") from error


def set_up_store(lab: Lab, client: hvac.Client) -> None:
    """The part that needs no API server: mount, policy and AppRole. Raises VaultError."""
    _mount(client)
    client.sys.create_or_update_policy(READER, READER_POLICY)
    _set_up_app_role(lab, client)


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


def _set_up_app_role(lab: Lab, client: hvac.Client) -> None:
    _enable_login(client, "approle")
    client.auth.approle.create_or_update_approle(APP_ROLE, token_policies=[READER], token_ttl="1h", token_max_ttl="24h")  # noqa: S106
    role_id = client.auth.approle.read_role_id(APP_ROLE)["data"]["role_id"]
    credentials.store(lab.credentials, "openbao_role_id", role_id)
    if not _logs_in(lab, client, role_id):
        secret_id = client.auth.approle.generate_secret_id(APP_ROLE)["data"]["secret_id"]
        credentials.store(lab.credentials, "openbao_secret_id", secret_id)


def _logs_in(lab: Lab, client: hvac.Client, role_id: str) -> bool:
    try:
        secret_id = credentials.read(lab.credentials, "openbao_secret_id")
        client.auth.approle.login(role_id, secret_id, use_token=False)
    except (LookupError, InvalidRequest, Forbidden, InvalidPath):
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
    namespace, name = POD_ACCOUNT
    client.auth.kubernetes.create_role(
        KUBERNETES_ROLE,
        bound_service_account_names=[name],
        bound_service_account_namespaces=[namespace],
        policies=[READER],
        ttl="1h",
    )


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
