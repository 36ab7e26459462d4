"""What the seed file says: which namespaces, workloads and exposed secrets the lab's cluster starts with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from infra_ops.models.documents import Document, DocumentError, parse

SEED_FILE = Path(__file__).with_name("cluster.yaml")


class Workload(Document):
    """One workload of the roadmap's cluster.

    `port` also makes a Service of the same name; `ready_port` listens while it is ready. `env_from` names Secrets of
    the namespace, `fields` maps variables to fields of the pod, `files` Secrets to the folders where they are mounted;
    `storage` is the size of a volume claim.
    """

    name: str
    image: str
    kind: Literal["Deployment", "StatefulSet", "DaemonSet"] = "Deployment"
    replicas: int = 1
    port: int | None = None
    ready_port: int | None = None
    env_from: list[str] = []
    fields: dict[str, str] = {}
    files: dict[str, str] = {}
    storage: str | None = None
    privileged: bool = False
    host_network: bool = False
    host_paths: list[str] = []


class Namespace(Document):
    """Its Secrets are templates (lab/seed/templates.py)."""

    workloads: list[Workload] = []
    secrets: dict[str, dict[str, str]] = {}


class ServiceAccount(Document):
    namespace: str
    service_account: str


class Cluster(Document):
    namespaces: dict[str, Namespace]
    cluster_admins: list[ServiceAccount] = []


def load(path: Path = SEED_FILE) -> Cluster:
    """Reads and checks the seed file. Raises DocumentError with the file, the place and what is allowed there."""
    try:
        return parse(path.read_text(), Cluster, str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise DocumentError(f"The seed file {path} cannot be read: {reason}.") from error
