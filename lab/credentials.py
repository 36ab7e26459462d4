"""The lab's credentials: invented here, kept in one 0600 file each, never shown by anything but `lab password`."""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from lab import files

# Those that the roadmap lists as exposed: weak, human, and copied into their consumers' Secrets by the seed.
EXPOSED = {
    "postgres_appuser": "appuser",
    "flower_celery": "admin",
    "flower_financial_screener": "admin",
    "synology_admin": "admin",
    "pihole_admin": "admin",
    "grafana_admin": "admin",
    "airflow_admin": "admin",
}
# Those that the lab itself works with.
INTERNAL = {
    "postgres_superuser": "postgres",
    "airflow_database": "airflow",
    "airflow_runner": "runner",
    "valkey": "default",
}
WORDS = ("Heron", "Lantern", "Walnut", "Glacier", "Pepper", "Harbour", "Velvet", "Cobalt", "Thistle", "Marble", "Otter")


@dataclass(frozen=True)
class Credential:
    """A login. ``password`` is a token where the service knows no user names (OpenBao's root token)."""

    username: str
    password: str = field(repr=False)


def path(directory: Path, credential_id: str) -> Path:
    """The file that holds the credential: JSON with ``username`` and ``password``."""
    return directory / f"{credential_id}.json"


def read(directory: Path, credential_id: str) -> Credential:
    """The stored credential. Raises KeyError, with a sentence that lists what there is, when there is none."""
    try:
        stored = json.loads(path(directory, credential_id).read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in directory.glob("*.json"))) or "none yet"
        raise KeyError(f"No credential {credential_id} in {directory}; there are: {known}.") from None
    return Credential(stored["username"], stored["password"])


def store(directory: Path, credential_id: str, credential: Credential) -> None:
    """Write the credential's file, readable by its owner only."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {"username": credential.username, "password": credential.password}
    files.write(path(directory, credential_id), json.dumps(content))


def invent(directory: Path) -> None:
    """Store a new password for each credential of EXPOSED and INTERNAL that has none yet; keep the others."""
    for credential_id, username in EXPOSED.items():
        if not path(directory, credential_id).exists():
            store(directory, credential_id, Credential(username, _weak_password()))
    for credential_id, username in INTERNAL.items():
        if not path(directory, credential_id).exists():
            store(directory, credential_id, Credential(username, secrets.token_urlsafe(24)))


def _weak_password() -> str:
    # "&" and "!" may stand in a URL as they are, yet look different once quoted: whoever searches for copies of a
    # password must know its quoted forms too.
    return f"{secrets.choice(WORDS)}&{secrets.choice(WORDS)}!{secrets.randbelow(9000) + 1000}"
