"""What the seed says about a node, and where the node keeps its things."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

USER = "pi"
HOME = f"/home/{USER}"


@dataclass(frozen=True)
class Machine:
    """One node of the seed, with the folder that stands for its disk."""

    name: str
    role: Literal["server", "agent"]
    address: str
    root: Path

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
        return not (self.root / "off").exists()


def load(seed: Path, root: Path) -> list[Machine]:
    """The nodes of the seed file `seed`, with their folders below `root`. ValueError when the file makes no sense."""
    try:
        entries = yaml.safe_load(seed.read_text())
        return [Machine(e["name"], e["role"], e["address"], root.absolute() / e["name"]) for e in entries]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"{seed} must be a list of nodes with name, role and address: {error!r}") from error
