"""Tiny services: Python one-liners that start in a few hundredths of a second."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from lab.supervisor.service import Service
from lab.supervisor.sessions import Ledger
from lab.supervisor.supervisor import Supervisor

PYTHON = (sys.executable, "-I", "-S", "-c")
SLEEP = "import time; time.sleep(60)"
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); " + SLEEP
LISTEN = "import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"


def python(name: str, code: str = SLEEP, **fields: object) -> Service:
    """A service that runs the code."""
    return Service(name=name, command=(*PYTHON, code), **fields)


def listener(name: str, port: int, **fields: object) -> Service:
    """A service that listens on the port."""
    return python(name, LISTEN.format(port=port), ports=(port,), **fields)


class Bench:
    """A supervisor over some services, and what it reported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: list[str] = []

    def run(self, services: list[Service], play: Callable[[Supervisor], Awaitable[None]]) -> None:
        """Start all, play, stop all. What the services were not told to do, nothing has done when this returns."""

        async def scene() -> None:
            supervisor = self.supervisor(services)
            try:
                await supervisor.start_all()
                await play(supervisor)
            finally:
                await supervisor.stop_all()

        asyncio.run(scene())

    def supervisor(self, services: list[Service]) -> Supervisor:
        return Supervisor(
            services,
            environment={"PATH": os.environ["PATH"], "BENCH": "yes"},
            log=self.folder,
            ledger=Ledger(self.folder / "sessions.json"),
            report=self.reports.append,
        )


async def nothing(_: Supervisor) -> None:
    """The play of a test that only starts and stops."""


async def until(question: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until the answer is yes; a test that waits in vain fails with TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            if question():
                return
            await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has asked about yet (a zombie) does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
