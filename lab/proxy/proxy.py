"""Keeps one listening port for each port of a Service, the same at every start, and tells others which."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import random
from collections.abc import Iterable
from pathlib import Path

from lab import files
from lab.proxy.forwarding import HOST, Forwarder
from lab.proxy.view import ServicePort, View

log = logging.getLogger(__name__)

# Kubernetes' own range for ports that Services get on nodes; the lab's other servers choose from below it.
CANDIDATES = range(30000, 32768)
_RETRY_SECONDS = 1.0


class Proxy:
    """The forwarders of all Services.

    `memory` is the file in which it remembers its ports, `told` the one that tells others (`{"namespace/name:port":
    "127.0.0.1:port"}`): only what it listens on now. A remembered port is waited for when somebody else has it, because
    copies of the address are in Secrets.
    """

    def __init__(self, view: View, *, memory: Path, told: Path) -> None:
        self._view = view
        self._memory = memory
        self._told = told
        self._ports: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
        self._forwarders: dict[ServicePort, Forwarder] = {}
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """The view shows other Services than before."""
        self._changed.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self._settle():
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._changed.set)

    async def _settle(self) -> bool:
        """Open and close what the view asks for; whether that could be done."""
        wanted = self._view.ports()
        for port in self._forwarders.keys() - wanted:
            self._forwarders.pop(port).close()
        for port in sorted(wanted - self._forwarders.keys()):
            forwarder = Forwarder(functools.partial(self._view.endpoints, port))
            if await self._listen(forwarder, str(port)):
                self._forwarders[port] = forwarder
        files.write(self._memory, json.dumps(self._ports, indent=2))
        addresses = {str(port): f"{HOST}:{self._ports[str(port)]}" for port in sorted(self._forwarders)}
        files.write(self._told, json.dumps(addresses, indent=2))
        return self._forwarders.keys() == wanted

    async def _listen(self, forwarder: Forwarder, name: str) -> bool:
        for port in self._candidates(name):
            try:
                await forwarder.listen(port)
            except OSError as error:
                if name in self._ports:
                    log.warning("port %d of Service %s is taken: %s", port, name, error.strerror)
                continue
            self._ports[name] = port
            return True
        return False

    def _candidates(self, name: str) -> Iterable[int]:
        if name in self._ports:
            return [self._ports[name]]
        free = sorted(set(CANDIDATES) - set(self._ports.values()))
        return random.sample(free, len(free))
