"""What the seed says about a node, and where the node keeps its things; and the machine that is no node."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import power
from lab.seed import nodes

NAS = "nas"  # reached by SSH like a node, and outside of the cluster
NAS_USER = "infra-ops"


@dataclass(frozen=True)
class Machine:
    """One node of the seed, or the NAS, with the folder that stands for its disk; `user` is who may log in."""

    name: str
    role: Literal["server", "agent", "nas"]
    address: str
    root: Path
    user: str = "pi"

    @property
    def home(self) -> str:
        return f"/home/{self.user}"

    @property
    def unit(self) -> str:
        """The systemd unit that runs K3s on it."""
        return "k3s" if self.role == "server" else "k3s-agent"

    @property
    def host_key(self) -> Path:
        """The private host key (0600); its public half lies beside it as `.pub`."""
        return self.root / "etc/ssh/ssh_host_ed25519_key"

    @property
    def is_on(self) -> bool:
        return power.is_on(self.root.parent, self.name)


def load(seed: Path, root: Path) -> list[Machine]:
    """The nodes of the seed file `seed`, with their folders below `root`. Raises LabError."""
    return [Machine(node.name, node.role, node.address, root.absolute() / node.name) for node in nodes.load(seed)]


def nas(root: Path) -> Machine:
    """The machine outside of the cluster, with its folder below `root`."""
    return Machine(NAS, "nas", "192.168.1.10", root.absolute() / NAS, NAS_USER)
