"""K3s where no API is served from: on agents, and on the servers of a lab that uses another cluster's API."""

from pathlib import Path

from lab.k3s import certificates, config
from lab.k3s.unit import Failure


class Agent:
    """A Process that needs a configuration it can read, and renews the certificates of its node.

    `authorities` is the disk of a server.
    """

    def __init__(self, root: Path, role: str, authorities: Path) -> None:
        self._root = root
        self._renewal = (role, authorities)

    async def start(self) -> None:
        """Raises Failure."""
        try:
            config.read(self._root)
        except config.ConfigError as error:
            raise Failure(str(error)) from None
        certificates.renew(self._root, *self._renewal)

    async def stop(self) -> None:
        """Nothing of it is left."""
