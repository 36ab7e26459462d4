"""What a running lab answers when the command line asks."""

import asyncio
import os
from pathlib import Path

from lab.supervisor.control import Reply, Request
from lab.supervisor.service import ServiceError
from lab.supervisor.supervisor import Supervisor


def control_socket(root: Path) -> Path:
    """Where the lab at that root answers."""
    return root / "control.sock"


class Desk:
    """Answers the requests `{"do": "phase" | "status" | "down"}` and `{"do": "start" | "stop", "name": service}`.

    A reply holds `error`, a sentence, when the request was refused. `phase` is starting, up or stopping.
    """

    def __init__(self, supervisor: Supervisor, end: asyncio.Event) -> None:
        self._supervisor = supervisor
        self._end = end
        self.phase = "starting"

    async def answer(self, request: Request) -> Reply:
        try:
            match request:
                case {"do": "phase"}:
                    return {"phase": self.phase, "pid": os.getpid()}
                case {"do": "status"}:
                    return {"phase": self.phase, "services": await asyncio.to_thread(self._supervisor.status)}
                case {"do": "down"}:
                    self._end.set()
                    return {"pid": os.getpid()}
                case {"do": "start" | "stop"} if self.phase != "up":
                    return {"error": f"the lab is {self.phase}"}
                case {"do": "start", "name": str(name)}:
                    await self._supervisor.start(name)
                case {"do": "stop", "name": str(name)}:
                    await self._supervisor.stop(name)
                case _:
                    return {"error": f"unknown request {request}"}
        except ServiceError as error:
            return {"error": str(error)}
        return {}
