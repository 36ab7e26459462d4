"""The nodes' names and power switches: a file named `off` in a node's folder, which nodes and kubelet watch."""

from pathlib import Path

from lab.seed.nodes import SEED_FILE, load


def names() -> list[str]:
    """The names of the nodes. Raises LabError when the seed file cannot be read."""
    return [node.name for node in load(SEED_FILE)]


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
