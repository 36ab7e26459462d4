"""K3s' unit on a node, run as systemd runs it: by what `systemctl` asks for, and again 5 s after it failed.

`systemctl` on the node (lab/nodes/systemctl.py) leaves a job in a file and waits until it is done; the state lies
beside it. As K3s installs it, the unit is of type notify (a start is over when it serves), enabled, and Restart=always.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from lab import files
from lab.nodes.places import JOURNAL, UNITS

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0  # RestartSec of k3s.service
_LOOK_SECONDS = 0.2


class Failure(Exception):
    """K3s ended while it started; the text is its last word."""


class Process(Protocol):
    """What the unit runs."""

    async def start(self) -> None:
        """Raises Failure."""

    async def stop(self) -> None: ...


class Unit:
    """The unit `name` of the node whose disk is `root`; `seconds` is how long a start takes."""

    def __init__(self, root: Path, name: str, process: Process, seconds: float) -> None:
        self._folder = root / UNITS
        self._journal = root / JOURNAL / f"{name}.log"
        self._hostname = root / "etc/hostname"
        self._name = name
        self._process = process
        self._seconds = seconds
        self._status: dict[str, Any] = {"ActiveState": "inactive", "SubState": "dead", "MainPID": 0, "NRestarts": 0}
        self._again_at = 0.0

    async def run(self, has_power: Callable[[], bool]) -> None:
        """For ever. K3s starts with the node's power, and at the lab's start unless it was stopped before."""
        self._status["job"] = self._job().get("id", "")  # what was asked for before is over
        rests = has_power() and _read(self._folder / self._name) in ("inactive", "failed")
        runs, seconds = False, 0.0
        try:
            while True:
                if has_power() != runs:
                    runs = not runs
                    if not runs:
                        await self._end()
                    elif not rests:
                        await self._start(seconds)
                    rests, seconds = False, self._seconds
                if runs:
                    await self._work()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await self._process.stop()

    async def _work(self) -> None:
        job = self._job()
        if job and job["id"] != self._status.get("job"):
            if job["verb"] == "stop" or (job["verb"] == "restart" and self._is_active):
                self._tell(ActiveState="deactivating", SubState="stop-sigterm")
                await self._end()
            result = "success" if job["verb"] == "stop" or self._is_active else await self._start(self._seconds)
            self._tell(job=job["id"], JobResult=result)
        elif self._again_at and time.monotonic() >= self._again_at:
            self._tell(NRestarts=self._status["NRestarts"] + 1)
            await self._start(self._seconds)

    @property
    def _is_active(self) -> bool:
        return bool(self._status["ActiveState"] == "active")

    async def _start(self, seconds: float) -> str:
        self._again_at = 0.0
        pid = 1000 + int(time.time() * 10) % 30000
        self._tell(ActiveState="activating", SubState="start", MainPID=pid, ExecMainStartTimestamp=time.time())
        self.say("info", f"Starting {self._name}")
        crash = self._folder / f"{self._name}.crash"  # left by who asked it too early (lab/nodes/k3s_encrypt.py)
        crash.unlink(missing_ok=True)
        await asyncio.sleep(seconds)
        try:
            if crash.exists():
                raise Failure("panic: runtime error: invalid memory address or nil pointer dereference")
            await self._process.start()
        except Failure as failure:
            self.say("fatal", str(failure))
            self._again_at = time.monotonic() + AGAIN_SECONDS
            self._tell(ActiveState="activating", SubState="auto-restart", MainPID=0)
            return "failed"
        self.say("info", f"{self._name} is up and running")
        self._tell(ActiveState="active", SubState="running", ActiveEnterTimestamp=time.time())
        return "success"

    async def _end(self) -> None:
        self._again_at = 0.0
        await self._process.stop()
        self._tell(ActiveState="inactive", SubState="dead", MainPID=0)

    def _job(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(_read(self._folder / f"{self._name}.job") or "{}")
        return found

    def _tell(self, **changes: Any) -> None:
        self._status |= changes
        self._folder.mkdir(parents=True, exist_ok=True)
        files.write(self._folder / self._name, f"{self._status['ActiveState']}\n")
        files.write(self._folder / f"{self._name}.json", json.dumps(self._status))

    def say(self, level: str, message: str) -> None:
        """A line in the unit's journal."""
        log.log(logging.ERROR if level == "fatal" else logging.INFO, "%s: %s", _read(self._hostname), message)
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        with self._journal.open("a") as journal:
            text = json.dumps(message, ensure_ascii=False)
            head = f"{time.strftime('%b %d %H:%M:%S')} {_read(self._hostname)} k3s[{self._status['MainPID']}]: "
            journal.write(f'{head}time="{moment}" level={level} msg={text}\n')


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
