"""Services of a lab that run beside the test, which need not be a coroutine."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab.layout import Lab
from lab.supervisor.service import Service
from lab.supervisor.sessions import Ledger
from lab.supervisor.supervisor import Supervisor


@contextmanager
def running(lab: Lab, services: Sequence[Service]) -> Iterator[Supervisor]:
    """The services, healthy; stopped at the end."""
    ledger = Ledger(lab.root / "sessions.json")
    supervisor = Supervisor(services, environment=lab.environment(), log=lab.log, ledger=ledger, report=print)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(supervisor.start_all(), loop).result(120)
        yield supervisor
    finally:
        asyncio.run_coroutine_threadsafe(supervisor.stop_all(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
