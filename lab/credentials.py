"""The lab's credentials: invented here, one 0600 file each that holds nothing but the password."""

import secrets
from pathlib import Path

from lab import files

# Credential id -> user name. These the roadmap lists as exposed: weak, human, copied into their consumers' Secrets.
EXPOSED = {
    "postgres_appuser": "appuser",
    "flower_celery": "admin",
    "flower_financial_screener": "admin",
    "synology_admin": "admin",
    "pihole_admin": "admin",
    "grafana_admin": "admin",
    "airflow_admin": "admin",
}
# With these the lab itself works.
INTERNAL = {
    "postgres_superuser": "postgres",
    "airflow_database": "airflow",
    "airflow_runner": "runner",
    "airflow_service": "service",
    "valkey": "default",
    "kubernetes_admin": "lab-admin",
    "kubernetes_controllers": "system:kube-controller-manager",
    "kubernetes_kubelet": "system:node:lab",
    "kubernetes_proxy": "system:kube-proxy",
}
USERS = EXPOSED | INTERNAL
WORDS = ("Heron", "Lantern", "Walnut", "Glacier", "Pepper", "Harbour", "Velvet", "Cobalt", "Thistle", "Marble", "Otter")


def read(directory: Path, credential_id: str) -> str:
    """The stored password or token. Raises LookupError, listing what there is, when there is none."""
    try:
        return (directory / credential_id).read_text()
    except FileNotFoundError:
        known = ", ".join(sorted(file.name for file in directory.glob("[!.]*"))) or "none yet"
        raise LookupError(f"No credential {credential_id} in {directory}; there are: {known}.") from None


def store(directory: Path, credential_id: str, password: str) -> None:
    """Write the credential's file, readable by its owner only."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(directory / credential_id, password)


def invent(directory: Path) -> None:
    """Store a new password for each credential of USERS that has none yet; keep the others."""
    for credential_id in USERS:
        if not (directory / credential_id).exists():
            exposed = credential_id in EXPOSED
            store(directory, credential_id, _weak_password() if exposed else secrets.token_urlsafe(24))


def _weak_password() -> str:
    # "&" and "!" may stand in a URL as they are, yet look different once quoted: whoever searches for copies of a
    # password must know its quoted forms too.
    return f"{secrets.choice(WORDS)}&{secrets.choice(WORDS)}!{secrets.randbelow(9000) + 1000}"
