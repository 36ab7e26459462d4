"""K3s where no API is served from: on agents, and on the servers of a lab that uses another cluster's API."""

from pathlib import Path

from lab.k3s import config
from lab.k3s.unit import Failure


class Agent:
    """A Process that needs nothing but a configuration it can read."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def start(self) -> None:
        """Raises Failure."""
        try:
            config.read(self._root)
        except config.ConfigError as error:
            raise Failure(str(error)) from None

    async def stop(self) -> None:
        """Nothing of it is left."""
