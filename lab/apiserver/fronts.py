"""The servers of the cluster, each with its own port, and the common port that one of those answers that are up."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from lab import files, power
from lab.apiserver.encryption import Keyring
from lab.apiserver.front import Front
from lab.apiserver.listener import Listener
from lab.apiserver.memberport import MemberPort
from lab.apiserver.members import Members
from lab.apiserver.registry import Object
from lab.apiserver.server import Server, Settings
from lab.apiserver.supervisor import Supervisor
from lab.apiserver.web import App
from lab.k3s import managed
from lab.k3s.managed import Bootstrap
from lab.k3s.unit import Unit
from lab.nodes.member_client import PORTS
from lab.nodes.places import LAB, VERSION

NODES = ("", "nodes")
_LOOK_SECONDS = 0.1
_TELL_SECONDS = 0.5
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where the servers are: their ports by name, the folder of the nodes' disks, how long a start takes (seconds)."""

    ports: dict[str, int]
    nodes: Path
    restart_seconds: float


class Fronts:
    """Runs the servers by their units; `serve` ends when it is cancelled."""

    def __init__(self, server: Server, settings: Settings, place: Place) -> None:
        self._server = server
        self._place = place
        self._certificate = (settings.certs / "apiserver.crt", settings.certs / "apiserver.key")
        self._common = Listener(App(server, self._answering), settings.port)
        self._changed = asyncio.Event()
        self._bootstrap = Bootstrap(settings.data / "bootstrap.json")
        self._units: dict[str, Unit] = {}
        self._members = Members(server.store, {name: place.nodes / name for name in place.ports})
        self._chosen = next(iter(place.ports))
        self.fronts = [self._front(name, port) for name, port in place.ports.items()]

    def _front(self, name: str, port: int) -> Front:
        def listener(keyring: Keyring) -> Listener:
            return Listener(App(self._server, lambda: keyring), port)

        root = self._place.nodes / name

        def door(keyring: Keyring) -> MemberPort:
            supervisor = Supervisor(root, self._server.registry, keyring, self._bootstrap, annotate, say)
            return MemberPort(name, root, self._members, self._leader, lambda: self._place.ports, supervisor)

        def annotate(wanted: dict[str, str]) -> None:
            own = self._named(name)
            own.annotations |= wanted
            self._annotate(own)

        def say(level: str, message: str) -> None:
            self._units[name].say(level, message)

        def prepare(led: bool) -> None:
            managed.prepare_start(root, self._bootstrap, leads=led)

        def leads() -> bool:
            return self._leader() == name

        prefixes = self._server.prefixes
        return Front(name, root, listener, prefixes, self._members, door, self._changed.set, leads, prepare)

    def _named(self, name: str) -> Front:
        return next(front for front in self.fronts if front.name == name)

    def _leader(self) -> str:
        """The member that leads: that of the server behind the common port."""
        return self._chosen

    def _answering(self) -> Keyring:
        """The keys of the server behind the common port."""
        return self._named(self._chosen).keyring

    async def serve(self) -> None:
        """Raises OSError when a port is taken."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._tell_nodes())
                group.create_task(self._members.compact_for_ever())
                for front in self.fronts:
                    group.create_task(self._run(front))
        except* OSError as failures:
            raise failures.exceptions[0] from None
        finally:
            await self._members.close()

    async def _run(self, front: Front) -> None:
        if not (front.root / VERSION).exists():
            log.info("%s starts once its disk %s is laid out, which python -m lab.nodes does", front.name, front.root)
        while not (front.root / VERSION).exists():  # noqa: ASYNC110 (the nodes of a new lab are laid out meanwhile)
            await asyncio.sleep(_LOOK_SECONDS)
        unit = self._units[front.name] = Unit(front.root, "k3s", front, self._place.restart_seconds)
        await unit.run(lambda: power.is_on(self._place.nodes, front.name))

    async def _follow(self) -> None:
        """Keep the common port as the servers are: open while one is up, and cut off when the one behind it goes."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                up = [front for front in self.fronts if front.is_up]
                self._tell_members(up)
                if not up:
                    await self._common.close()
                elif self._chosen not in [front.name for front in up]:
                    self._common.drop()
                    self._chosen = up[0].name
                self._server.store.own = self._answering()
                if up and not self._common.is_open:
                    await self._common.open(*self._certificate)
        finally:
            await self._common.close()

    def _tell_members(self, up: list[Front]) -> None:
        """Write on each server where the members are."""
        ports = json.dumps({front.name: front.member_at for front in up})
        for front in self.fronts:
            if (front.root / LAB).exists():
                files.write(front.root / PORTS, ports)

    async def _tell_nodes(self) -> None:
        """Write on each server's Node what it was started with, once the Node is there."""
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            for front in self.fronts:
                if front.is_up:
                    self._annotate(front)

    def _annotate(self, front: Front) -> None:
        """Let its Node have the server's annotations, if it exists."""
        registry, wanted = self._server.registry, front.annotations
        resource = registry.resource(*NODES)
        node = registry.find(resource, "", front.name)
        if node is None or wanted.items() <= (node["metadata"].get("annotations") or {}).items():
            return

        def change(present: Object) -> Object:
            own = present["metadata"]
            own["annotations"] = {**(own.get("annotations") or {}), **wanted}
            return present

        registry.update(resource, "", front.name, change)
