"""What the seed file says: which namespaces, workloads and exposed secrets the lab's cluster starts with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from infra_ops.models.documents import Document, DocumentError, parse

SEED_FILE = Path(__file__).with_name("cluster.yaml")


class Container(Document):
    """A container of a pod.

    `env_from` names Secrets of the namespace; `fields` maps variables to fields of the pod, `keys` to `secret/key`,
    `values` to texts, in which `$(NAME)` is one of the variables before it.
    """

    name: str
    image: str
    env_from: list[str] = []
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    values: dict[str, str] = {}


class Workload(Container):
    """One workload of the roadmap's cluster, named after its first container; `sidecars` are the others.

    `port` also makes a Service of the same name, which leads to `container_port` where that is another one;
    `ready_port` listens while it is ready. `files` maps Secrets to the folders where they are mounted; `storage` is the
    size of a volume claim.
    """

    kind: Literal["Deployment", "StatefulSet", "DaemonSet"] = "Deployment"
    replicas: int = 1
    port: int | None = None
    container_port: int | None = None
    ready_port: int | None = None
    sidecars: list[Container] = []
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
