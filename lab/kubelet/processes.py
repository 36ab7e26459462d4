"""The processes of containers: started, ended, and found again when a killed kubelet left some behind."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil

from lab.kubelet.enclosures import Command, Enclosure
from lab.kubelet.logs import Log

MARK = "LAB_KUBELET_ROOT"  # every process of a pod has it in its environment, naming the kubelet's own folder
_CHUNK = 64 * 1024
_READY_POLL_SECONDS = 0.01
_DRAIN_SECONDS = 1.0


class Process:
    """One start of a container: a process group with its log."""

    def __init__(self, process: asyncio.subprocess.Process, enclosure: Enclosure, pump: asyncio.Task[None]) -> None:
        self.pid = process.pid
        self.enclosure = enclosure
        self._process = process
        self._pump = pump
        self._ended = asyncio.Event()

    @classmethod
    async def start(cls, command: Command, enclosure: Enclosure, log: Log) -> Process:
        """Start a container's command and return once it may be entered and signalled; raises OSError."""
        host = enclosure.starting(command)
        output, into = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *host.argv,
                env=host.environment,
                cwd=host.cwd or None,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=into,
                stderr=into,
                start_new_session=True,
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(into)
        started = cls(process, enclosure, asyncio.create_task(_pump(output, log)))
        try:
            # What happens in another process' namespaces cannot be awaited.
            while process.returncode is None and not enclosure.is_ready(process.pid):  # noqa: ASYNC110
                await asyncio.sleep(_READY_POLL_SECONDS)
        except BaseException:
            started.kill()
            raise
        return started

    async def wait(self) -> int:
        """Until the first process has ended and its output is stored; its exit code, 128 + n for signal n."""
        code = await self._process.wait()
        self.kill()  # what it started in the background ends with it
        await asyncio.wait([self._pump], timeout=_DRAIN_SECONDS)
        self._pump.cancel()
        self._ended.set()
        return 128 - code if code < 0 else code

    async def ends_within(self, seconds: float) -> bool:
        """Whether it ends in that time (somebody must be in `wait`)."""
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def terminate(self) -> None:
        """Ask the first process to end."""
        try:
            os.kill(self.enclosure.first_process(self.pid), signal.SIGTERM)
        except ProcessLookupError:
            return  # ended already

    def kill(self) -> None:
        """End the process group at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # all ended already


async def _pump(output: int, log: Log) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output, "rb", 0)
    )
    try:
        while data := await reader.read(_CHUNK):
            log.write(data)
    finally:
        transport.close()
        log.end()


def sweep(root: Path) -> int:
    """Kill what an earlier kubelet of this `root` left running; returns how many processes.

    They are known by their environment, so nothing need be written down that a crash could tear.
    """
    left = [process for process in psutil.process_iter() if _mark_of(process) == str(root)]
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=5)
    return len(left)


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None  # gone, a kernel thread, or another user's
