"""The life of one container: its starts, its ends, and whether it starts again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import times
from lab.kube import ApiError, Object
from lab.kubelet import container_status
from lab.kubelet.backoff import Backoff
from lab.kubelet.enclosures import Command, Place, enclosure
from lab.kubelet.launch import ImageError, StartError, prepare
from lab.kubelet.logs import Log, last_words
from lab.kubelet.probes import Probes
from lab.kubelet.processes import Process
from lab.kubelet.record import Record
from lab.kubelet.references import MissingReferenceError
from lab.kubelet.runtime import Runtime
from lab.kubelet.volumes import VolumeError, Volumes

log = logging.getLogger(__name__)

Restart = Literal["Always", "OnFailure", "Never"]
_RETRY_SECONDS = 1.0
_ERROR_SECONDS = 1.0  # ErrImagePull stays visible that long before it becomes ImagePullBackOff
_CANNOT_START = 128
_UNSEEN_END = 255  # what containerd reports for a container that ended while nobody watched


@dataclass(frozen=True)
class _Running:
    """The present start: its process, and what exec needs to run beside it."""

    process: Process
    command: Command


class Container:
    """One container of a pod.

    `pod` has its address in its status. What runs according to a `record` that an earlier kubelet left has ended
    unseen, unless the image has no process.
    """

    def __init__(
        self, runtime: Runtime, pod: Object, spec: Object, volumes: Volumes, record: Record, restart: Restart
    ) -> None:
        self.name: str = spec["name"]
        self.spec = spec
        self.address: str = pod["status"]["podIP"]
        self.record = record
        self._runtime = runtime
        self._pod = pod
        self._volumes = volumes
        self._restart = restart
        self._folder: Path = runtime.folder_of(pod) / "containers" / self.name
        self._stopping = asyncio.Event()
        self._pulls, self._crashes = Backoff(), Backoff()
        self._task: asyncio.Task[int] | None = None
        self._running: _Running | None = None
        self._log: Log | None = None
        if not self.held:
            self._note_unseen_end()

    @property
    def held(self) -> bool:
        """Whether the image has no process: the container only counts as running."""
        image = self._runtime.images.find(self.spec["image"])
        return image is not None and image.held

    def start(self) -> None:
        """Begin its life in the background; a settled container stays as it is."""
        self._task = asyncio.create_task(self._live(), name=f"container {self.name}")

    async def finished(self) -> int:
        """Until it has ended for good; its last exit code."""
        if self._task is None:
            raise RuntimeError(f"container {self.name} was never started")
        return await asyncio.shield(self._task)

    async def stop(self, grace: float) -> None:
        """End it for good: SIGTERM, and SIGKILL after `grace` seconds."""
        self._stopping.set()
        if self._task is None or self._task.done():
            return
        if self._running:
            self.record.tell("Normal", "Killing", f"Stopping container {self.name}")
            self._running.process.terminate()
        await asyncio.wait([self._task], timeout=grace)
        if self._running:
            self._running.process.kill()
        await asyncio.wait([self._task])

    async def abandon(self) -> None:
        """End it at once and silently, as a power failure would."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def log_file(self, *, previous: bool) -> tuple[Path, Log | None] | None:
        """The log of the current (or the previous) start and, while that still grows, its writer; None without one."""
        number = container_status.log_number(self.record.status, previous=previous)
        path = self._log_path(number) if number is not None else None
        if path is None or not path.exists():
            return None
        return path, self._log if self._log and self._log.path == path else None

    def entering(self, argv: tuple[str, ...]) -> Command:
        """The command that runs `argv` inside, beside its own; raises ProcessLookupError when it is not running."""
        if self._running is None:
            raise ProcessLookupError(f"container {self.name} is not running")
        process, command = self._running.process, self._running.command
        return process.enclosure.entering(process.pid, Command(argv, command.environment, command.cwd))

    def probed(self, *, started: bool, ready: bool) -> None:
        """Take note of what its probes found."""
        if self._running:
            self.record.probed(started=started, ready=ready)

    def unhealthy(self, message: str) -> None:
        """Take note of a failed probe."""
        self.record.tell("Warning", "Unhealthy", message)

    async def restart(self, probe: str) -> None:
        """End its process because it failed its liveness or startup probe; the restart policy decides what follows."""
        running = self._running
        if running is None:
            return
        self.record.tell("Normal", "Killing", f"Container {self.name} failed {probe} probe, will be restarted")
        running.process.terminate()
        if not await running.process.ends_within(float(self._pod["spec"].get("terminationGracePeriodSeconds", 30))):
            running.process.kill()

    async def _live(self) -> int:
        code = container_status.exit_code(self.record.status)
        if code is not None and not self._starts_again(code):
            return code
        pause = 0.0
        while True:
            code = await self._hold() if self.held else await self._attempt()
            if self._stopping.is_set() or not self._starts_again(code):
                return code
            if pause:
                await self._wait_to_restart(pause)
            if self._stopping.is_set():
                return code
            pause = self._crashes.next()

    async def _hold(self) -> int:
        """Count as running until stopped."""
        number = container_status.next_number(self.record.status)
        since = times.seconds()
        if "running" in self.record.status["state"]:
            number, since = self.record.status["restartCount"], self.record.status["state"]["running"]["startedAt"]
        self.record.running(number, since)
        await self._stopping.wait()
        self.record.ended(number, since, 0)
        return 0

    async def _attempt(self) -> int:
        """Start it once, as soon as that is possible, and wait for its end; returns the exit code."""
        number = container_status.next_number(self.record.status)
        try:
            prepared = await self._prepare()
            if prepared is None:
                return _UNSEEN_END
            running = await self._start(number, *prepared)
        except StartError as error:
            self.record.tell("Warning", "Failed", f"Error: {error}")
            self.record.ended(number, times.seconds(), _CANNOT_START, reason="StartError", message=str(error))
            return _CANNOT_START
        return await self._run(running, number)

    async def _prepare(self) -> tuple[Place, Command] | None:
        """What to start, as soon as image and references are there; None when stopped before."""
        while not self._stopping.is_set():
            try:
                return await prepare(self._runtime, self._pod, self.spec, self._volumes, self._folder)
            except ImageError as error:
                await self._wait_for_image(error)
            except (ApiError, ConnectionError) as error:
                log.info("container %s waits for the API server: %s", self.name, error)
                await self._pause(_RETRY_SECONDS)
            except (MissingReferenceError, VolumeError) as error:
                await self._wait_for_config("CreateContainerConfigError", str(error))
            except OSError as error:
                await self._wait_for_config("CreateContainerError", str(error))
        return None

    async def _start(self, number: int, place: Place, command: Command) -> _Running:
        self.record.tell("Normal", "Pulled", f'Container image "{self.spec["image"]}" already present on machine')
        self._log_path(number - 2).unlink(missing_ok=True)  # only the previous log is kept beside the current one
        self._log = Log(self._log_path(number))
        self.record.tell("Normal", "Created", f"Created container: {self.name}")
        try:
            process = await Process.start(command, enclosure(place, namespaces=self._runtime.namespaces), self._log)
        except OSError as error:
            self._log.end()
            raise StartError(f"failed to start container: {error}") from error
        return _Running(process, command)

    async def _run(self, running: _Running, number: int) -> int:
        """From the moment that the process runs until it has ended."""
        self._running, since = running, times.seconds()
        probes = Probes(self)
        self.record.tell("Normal", "Started", f"Started container {self.name}")
        started, ready = not probes.delay_start, not probes.delay_ready
        self.record.running(number, since, started=started, ready=ready)
        probing = asyncio.create_task(probes.run())
        try:
            if self._stopping.is_set():  # too late for stop() to see it
                running.process.kill()
            code = await running.process.wait()
        except asyncio.CancelledError:
            running.process.kill()
            raise
        finally:
            probing.cancel()
            self._running = None
        self.record.ended(number, since, code, message=await self._last_words(number, code))
        return code

    async def _last_words(self, number: int, code: int) -> str:
        if code == 0 or self.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return ""
        return await last_words(self._log_path(number))

    async def _wait_for_config(self, reason: str, message: str) -> None:
        self.record.waiting(reason, message)
        self.record.tell("Warning", "Failed", f"Error: {message}")
        await self._pause(_RETRY_SECONDS)

    async def _wait_for_image(self, error: ImageError) -> None:
        image = self.spec["image"]
        self.record.waiting(error.reason, str(error))
        if error.reason == "ErrImageNeverPull":
            self.record.tell("Warning", error.reason, str(error))
            await self._pause(self._pulls.next())
            return
        self.record.tell("Normal", "Pulling", f'Pulling image "{image}"')
        self.record.tell("Warning", "Failed", f'Failed to pull image "{image}": {error}')
        self.record.tell("Warning", "Failed", f"Error: {error.reason}")
        await self._pause(_ERROR_SECONDS)
        if self._stopping.is_set():
            return
        message = f'Back-off pulling image "{image}"'
        self.record.waiting("ImagePullBackOff", f"{message}: {error.reason}: {error}")
        self.record.tell("Normal", "BackOff", message)
        self.record.tell("Warning", "Failed", "Error: ImagePullBackOff")
        await self._pause(self._pulls.next())

    async def _wait_to_restart(self, seconds: float) -> None:
        metadata = self._pod["metadata"]
        pod = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        delay = f"{seconds // 60:.0f}m{seconds % 60:.0f}s" if seconds >= 60 else f"{seconds:.0f}s"
        message = f"back-off {delay} restarting failed container={self.name} pod={pod}"
        self.record.waiting("CrashLoopBackOff", message)
        self.record.tell("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {pod}")
        await self._pause(seconds)

    def _note_unseen_end(self) -> None:
        """What an earlier kubelet had running has ended with it.

        The log tells of a start that the API server never heard of: a pod that must not restart runs at most once.
        """
        running, number = self.record.status["state"].get("running"), container_status.next_number(self.record.status)
        if running:
            self.record.ended(self.record.status["restartCount"], running["startedAt"], _UNSEEN_END, reason="Unknown")
        elif self._log_path(number).exists():
            self.record.ended(number, times.seconds(), _UNSEEN_END, reason="Unknown")

    def _starts_again(self, code: int) -> bool:
        return self._restart == "Always" or (self._restart == "OnFailure" and code != 0)

    def _log_path(self, number: int) -> Path:
        return self._folder / "logs" / f"{number}.log"

    async def _pause(self, seconds: float) -> None:
        """Wait, unless it is being stopped."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
