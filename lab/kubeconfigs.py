"""Kubernetes identities of the lab: the API server's token file, and a 0600 kubeconfig for each user of it."""

from datetime import timedelta
from pathlib import Path

import yaml

from lab import credentials, files, kube
from lab.errors import LabError
from lab.layout import Lab

# Credential id -> (kubeconfig's name, groups). The user names are those of lab/credentials.py.
IDENTITIES = {
    "kubernetes_admin": ("lab-admin", "system:masters"),
    "kubernetes_controllers": ("controllers", ""),
    "kubernetes_kubelet": ("kubelet", "system:nodes"),
    "kubernetes_proxy": ("proxy", ""),
}
TOKEN_LIFE = timedelta(days=30)


def token_path(lab: Lab) -> Path:
    """The --token-auth-file of the lab's own API server."""
    return lab.kubeconfigs / "tokens.csv"


def write_tokens(lab: Lab) -> None:
    """Write the token file: ``token,user,uid,"groups"`` a line."""
    lines = [
        f'{credentials.read(lab.credentials, name)},{credentials.USERS[name]},{name},"{groups}"\n'
        for name, (_, groups) in IDENTITIES.items()
    ]
    lab.kubeconfigs.mkdir(mode=0o700, exist_ok=True)
    files.write(token_path(lab), "".join(lines))


def write_own(lab: Lab, server: str) -> None:
    """Write a kubeconfig for each of IDENTITIES on the lab's own API server at that URL."""
    for name, (file, _) in IDENTITIES.items():
        write(lab.kubeconfigs / file, server, lab.certs / "ca.crt", credentials.read(lab.credentials, name))


def write(path: Path, server: str, authority: Path, token: str) -> None:
    """Write a kubeconfig with one context, holding the token and the server's certificate authority."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": path.name, "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": path.name}}],
        "current-context": "lab",
    }
    path.parent.mkdir(mode=0o700, exist_ok=True)
    files.write(path, yaml.safe_dump(content, sort_keys=False))


async def service_account_token(admin: Path, namespace: str, name: str, life: timedelta = TOKEN_LIFE) -> str:
    """A token of a service account by TokenRequest. A server may give a shorter life than asked for.

    Raises lab.kube.ApiError, for instance when there is no such account.
    """
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [], "expirationSeconds": int(life.total_seconds())},
    }
    async with kube.Kube(admin) as session:
        answer = await session.request("POST", path, body=request)
    token: str = answer["status"]["token"]
    return token


def server_of(kubeconfig: Path) -> tuple[str, str]:
    """The URL of the server in the kubeconfig's current context, and its certificate authority as PEM.

    Raises LabError when it names no authority: OpenBao, for one, cannot do without.
    """
    server, authority = kube.server_of(kubeconfig)
    if authority is None:
        raise LabError(
            f"{kubeconfig} names no certificate authority for {server}, by which OpenBao and Airflow would know it: "
            "add certificate-authority or certificate-authority-data."
        )
    return server, authority.decode()
