"""The names and addresses in a node's /etc/hosts. Standard library only: commands on the node read it too."""

from collections.abc import Iterator
from pathlib import Path


def own_name(root: Path) -> str:
    """The node's."""
    return (root / "etc/hostname").read_text().strip()


def address_of(root: Path, name: str) -> str:
    """The address on the network of the node of that name; empty when there is none."""
    found = (address for address, names in _lines(root) if name in names and not address.startswith("127."))
    return next(found, "")


def name_of(root: Path, host: str) -> str:
    """Which node an address or a name means, as seen from this one; empty when none."""
    own = own_name(root)
    if host in ("127.0.0.1", "localhost", own):
        return own
    return next((names[0] for address, names in _lines(root) if host in (address, *names)), "")


def _lines(root: Path) -> Iterator[tuple[str, list[str]]]:
    for line in (root / "etc/hosts").read_text().splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if names:
            yield address, names
