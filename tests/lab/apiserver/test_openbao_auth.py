"""OpenBao's Kubernetes login, which asks the API server who a token is."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hvac
import pytest
from hvac.exceptions import Forbidden, VaultError
from requests.exceptions import ConnectionError as Unreachable

from lab.ports import Ports
from tests.lab.apiserver.rest import Rest
from tests.lab.cluster import Cluster

READY_SECONDS = 30


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[hvac.Client]:
    """An OpenBao in memory."""
    port, token = Ports().of("openbao"), secrets.token_hex(8)
    environment = {"BAO_DEV_ROOT_TOKEN_ID": token, "HOME": str(tmp_path)}
    words = ["server", "-dev", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}"]
    bao = Path(sys.executable).parent / "bao"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([bao, *words], env=environment, stdout=log, stderr=log)
    client = hvac.Client(f"http://127.0.0.1:{port}", token=token)
    deadline = time.monotonic() + READY_SECONDS
    while not _ready(client):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, "OpenBao did not get ready"
        time.sleep(0.1)
    yield client
    process.terminate()
    process.wait(timeout=30)


def _ready(client: hvac.Client) -> bool:
    try:
        return bool(client.sys.is_initialized())
    except (Unreachable, VaultError):
        return False


def test_an_account_logs_in_with_its_token(vault: hvac.Client, api: Rest, cluster: Cluster, namespace: str) -> None:
    """The reviewer is an account with system:auth-delegator; nobody but the named account gets in."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    for name in ("reviewer", "worker"):
        api.create(accounts, {"metadata": {"name": name}})

    def token(name: str, *audiences: str) -> str:
        spec = {"audiences": list(audiences)} if audiences else {}
        made: str = api.create(f"{accounts}/{name}/token", {"spec": spec})["status"]["token"]
        return made

    binding = {
        "metadata": {"name": f"{namespace}-reviewer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": "reviewer", "namespace": namespace}],
    }
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    api.create(bindings, binding)
    vault.sys.enable_auth_method("kubernetes")
    login = vault.auth.kubernetes
    login.configure(
        kubernetes_host=cluster.url, kubernetes_ca_cert=cluster.ca.read_text(), token_reviewer_jwt=token("reviewer")
    )
    login.create_role("job", ["worker"], [namespace], ttl="10m", policies=["default"])
    assert login.login("job", token("worker"), use_token=False)["auth"]["metadata"]["service_account_name"] == "worker"
    with pytest.raises(Forbidden):
        login.login("job", token("reviewer"), use_token=False)
    good = token("worker")
    with pytest.raises(Forbidden):
        login.login("job", good[:-8] + "AAAAAAAA", use_token=False)
    api.delete(f"{bindings}/{namespace}-reviewer")
    with pytest.raises(VaultError):
        login.login("job", good, use_token=False)
