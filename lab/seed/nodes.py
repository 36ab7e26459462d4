"""What the seed file says of the nodes: the machines of the roadmap's cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from lab.errors import LabError, one_line
from lab.layout import SEED

SEED_FILE = SEED / "nodes.yaml"


@dataclass(frozen=True)
class NodeSpec:
    """One node: `address` is its own in the roadmap's network, `capacity` maps resources to Kubernetes quantities."""

    name: str
    role: Literal["server", "agent"]
    address: str
    capacity: dict[str, str]


def load(path: Path) -> list[NodeSpec]:
    """The nodes of a seed file. Raises LabError naming the file when it cannot be read or says something else."""
    try:
        return [NodeSpec(**entry) for entry in yaml.safe_load(path.read_text())]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        expected = "a list of nodes with name, role, address and capacity"
        raise LabError(f"{path} is not {expected}: {one_line(error)}.") from error
