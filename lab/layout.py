"""Where everything of one lab lives: the paths below its root, its ports, and the environment of its processes."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import K3S_VERSION
from lab.ports import Ports

PROJECT = Path(__file__).resolve().parent.parent
SEED = PROJECT / "lab" / "seed"


@dataclass(frozen=True)
class Lab:
    """One lab: its ``root`` folder (absolute), its ``ports``, and the kubeconfig of a real API server if given.

    ``k3s_version`` is its nodes'.
    """

    root: Path
    ports: Ports
    given_kubeconfig: Path | None = None
    k3s_version: str = K3S_VERSION

    @property
    def certs(self) -> Path:
        """The lab's authority and certificates (lab/pki.py)."""
        return self.root / "pki"

    @property
    def credentials(self) -> Path:
        """One 0600 file a credential (lab/credentials.py)."""
        return self.root / "credentials"

    @property
    def kubeconfigs(self) -> Path:
        """One 0600 kubeconfig a Kubernetes identity (lab/kubeconfigs.py)."""
        return self.root / "kubeconfigs"

    @property
    def admin_kubeconfig(self) -> Path:
        """The kubeconfig that may do everything: the given one, or the lab's own."""
        return self.given_kubeconfig or self.kubeconfigs / "lab-admin"

    @property
    def nodes(self) -> Path:
        """The file systems and power switches of the nodes, a folder each."""
        return self.root / "nodes"

    @property
    def ssh(self) -> Path:
        """What clients of the nodes and of the NAS need: id_ed25519 and known_hosts."""
        return self.root / "ssh"

    @property
    def include(self) -> Path:
        """The inventory and what belongs to it, as they are for this lab (lab/inventory.py)."""
        return self.root / "include"

    @property
    def log(self) -> Path:
        """One log file a service."""
        return self.root / "log"

    def data(self, name: str) -> Path:
        """The folder in which the service of that name keeps its data."""
        return self.root / "data" / name

    def environment(self) -> dict[str, str]:
        """The environment that every process of the lab starts from: nothing of the user's shell but PATH."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # the lab writes only below its root
        }
