"""One running process of the lab: started in a session of its own, its output in a file, stopped with all its kin."""

import asyncio
import contextlib
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.supervisor import sessions
from lab.supervisor.service import ServiceError

LAST_LINES = 15
LAST_BYTES = 8192


class Process:
    """A started process. ``pid`` is also the number of its session."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self.log = log
        self.pid = process.pid
        self.started = time.monotonic()

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], log: Path, stop_signal: signal.Signals
    ) -> "Process":
        """Start the command with exactly this environment. The log of the start before is kept as ``<log>.1``."""
        if log.exists():
            log.replace(log.with_name(f"{log.name}.1"))
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *_dying_with_us(stop_signal),
                *command,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, log)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def ending(self) -> str:
        """How the process ended, in words."""
        code = self._process.returncode
        if code is None:
            return "is running"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"

    async def wait(self) -> int:
        return await self._process.wait()

    async def stop(self, stop_signal: signal.Signals, grace: float) -> bool:
        """Ask the process to stop, then kill what is left of its session. False if it had to be killed."""
        willing = True
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(stop_signal)
            try:
                await asyncio.wait_for(self._process.wait(), grace)
            except TimeoutError:
                willing = False
        await asyncio.to_thread(sessions.kill, self.pid)
        await self._process.wait()
        return willing

    def last_lines(self) -> list[str]:
        """The end of what the process has written since it started."""
        with self.log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - LAST_BYTES))
            return stream.read().decode(errors="replace").splitlines()[-LAST_LINES:]


async def run(command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Run a command that ends by itself (initdb, a migration). Raises ServiceError with its last lines if it fails.

    Cancelling kills it with its children.
    """
    process = await Process.start(command, environment, log, signal.SIGTERM)
    try:
        code = await process.wait()
    finally:
        await process.stop(signal.SIGTERM, grace=0)
    if code != 0:
        lines = "\n".join(f"  {line}" for line in process.last_lines())
        raise ServiceError(f"{Path(command[0]).name} {process.ending} (see {log}):\n{lines}")


def _dying_with_us(stop_signal: signal.Signals) -> list[str]:
    # A supervisor that is killed cannot stop its services: where the kernel can, it does so on our behalf.
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", stop_signal.name.removeprefix("SIG"), "--"] if setpriv else []
