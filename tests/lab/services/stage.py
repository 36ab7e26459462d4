"""A lab of which only the services under test are started."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from lab import credentials, pki
from lab.layout import Lab
from lab.ports import Ports
from lab.supervisor.service import Service
from lab.supervisor.sessions import Ledger
from lab.supervisor.supervisor import Supervisor


def furnish(root: Path) -> Lab:
    """The folders, certificates and credentials that every service may count on."""
    lab = Lab(root, Ports())
    for folder in (lab.log, root / "home", root / "tmp", root / "data"):
        folder.mkdir()
    pki.issue(lab.certs)
    credentials.invent(lab.credentials)
    return lab


def run(lab: Lab, services: list[Service], play: Callable[[Supervisor], Awaitable[None]]) -> None:
    """Start the services, play, stop them."""

    async def scene() -> None:
        ledger = Ledger(lab.root / "sessions.json")
        supervisor = Supervisor(services, environment=lab.environment(), log=lab.log, ledger=ledger, report=print)
        try:
            await supervisor.start_all()
            await play(supervisor)
        finally:
            await supervisor.stop_all()

    asyncio.run(scene())
