"""The nodes' names and power switches: a file named `off` in a node's folder, which nodes and kubelet watch."""

from pathlib import Path

import yaml

from lab.errors import LabError, one_line
from lab.layout import SEED

SEED_FILE = SEED / "nodes.yaml"


def names() -> list[str]:
    """The names of the nodes. Raises LabError when the seed file cannot be read."""
    try:
        return [entry["name"] for entry in yaml.safe_load(SEED_FILE.read_text())]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise LabError(f"{SEED_FILE} is not a list of nodes with names: {one_line(error)}.") from error


def switch(nodes: Path, name: str, *, on: bool) -> None:
    """Turn on or off the power of the node with that name, whose folder is in ``nodes``."""
    off = nodes / name / "off"
    if on:
        off.unlink(missing_ok=True)
    else:
        off.parent.mkdir(parents=True, exist_ok=True)
        off.touch()


def is_on(nodes: Path, name: str) -> bool:
    """Whether the node has power."""
    return not (nodes / name / "off").exists()
