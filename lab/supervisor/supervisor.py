"""Starts services in the order of their needs, reports those that die, stops all in reverse."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from lab.supervisor import listeners, sessions
from lab.supervisor.process import Process
from lab.supervisor.service import Service, ServiceError
from lab.supervisor.sessions import Ledger

READY_EVERY = 0.1  # seconds between two questions
STOP_WITHIN = 13.0  # seconds for all services together; Ctrl-C promises 15


class Supervisor:
    """The running services of one lab. ``report`` gets one line for each thing worth telling a person.

    ``restart_with`` gives the command by which that person starts the service of a name again.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        environment: Mapping[str, str],
        log: Path,
        ledger: Ledger,
        report: Callable[[str], None],
        restart_with: Callable[[str], str] = "python -m lab start {}".format,
    ) -> None:
        self._services = {service.name: service for service in services}
        self._environment = environment
        self._log = log
        self._ledger = ledger
        self._report = report
        self._restart_with = restart_with
        self._processes: dict[str, Process] = {}
        self._states = dict.fromkeys(self._services, "waiting")
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._locks = {name: asyncio.Lock() for name in self._services}  # one start or stop of a service at a time
        self._restarts: dict[str, asyncio.Task[None]] = {}  # the newest of each service
        self._stopping = False
        self._early_death: asyncio.Future[None] | None = None  # while all are being started

    @property
    def names(self) -> list[str]:
        return list(self._services)

    async def start_all(self) -> None:
        """Start every service as soon as those it needs are healthy.

        Raises ServiceError for the first that fails, or that dies while others are still starting.
        """
        healthy = {name: asyncio.Event() for name in self._services}
        early_death = self._early_death = asyncio.get_running_loop().create_future()

        async def in_turn(service: Service) -> None:
            for name in service.after:
                await healthy[name].wait()
            await self._start(service)
            healthy[service.name].set()

        tasks = [asyncio.create_task(in_turn(service)) for service in self._services.values()]
        all_healthy = asyncio.gather(*tasks)
        try:
            await asyncio.wait((all_healthy, early_death), return_when=asyncio.FIRST_COMPLETED)
            if early_death.done():
                early_death.result()
            await all_healthy
        finally:
            self._early_death = None
            for future in (*tasks, early_death):
                future.cancel()
            await asyncio.gather(*tasks, all_healthy, early_death, return_exceptions=True)

    async def start(self, name: str) -> None:
        """Start one service again.

        Raises ServiceError when it runs already, does not become healthy, or is stopped before it is.
        """
        service = self._service(name)
        async with self._locks[name]:
            if self._stopping:
                raise ServiceError("the lab is stopping")
            if name in self._processes and self._processes[name].alive:
                raise ServiceError(f"{name} is running already")
            restart = self._restarts[name] = asyncio.create_task(self._start(service))
            await asyncio.wait([restart])
            if restart.cancelled():
                raise ServiceError(f"{name} was stopped while it started")
            await restart

    async def stop(self, name: str) -> None:
        """Stop one service, even in the middle of its start, and leave the others alone."""
        service = self._service(name)
        self._give_up_start(name)
        async with self._locks[name]:
            self._unwatch(name)
            process = self._processes.pop(name, None)
            if process is not None:
                willing = await process.stop(service.stop_signal, service.grace)
                if not willing:
                    self._report(f"{name} did not stop within {service.grace:g} s and was killed")
            self._states[name] = "stopped"

    async def stop_all(self) -> None:
        """Stop everything, those that others need last, within STOP_WITHIN seconds; whoever takes longer is killed.

        Nothing can be started any more.
        """
        self._stopping = True
        for name in self._services:
            self._unwatch(name)
            self._give_up_start(name)
        try:
            async with asyncio.timeout(STOP_WITHIN):
                for names in reversed(_waves(self._services)):
                    await asyncio.gather(*(self.stop(name) for name in names))
        except TimeoutError:
            self._report(f"not all stopped within {STOP_WITHIN:g} s: killing the rest")
        self._processes.clear()
        await asyncio.to_thread(self._ledger.sweep)

    def status(self) -> list[dict[str, Any]]:
        """One entry a service: name, state (waiting, starting, healthy, stopped, dead), pid, memory in bytes (PSS)."""
        entries = []
        for name, state in self._states.items():
            process = self._processes.get(name)
            alive = process is not None and process.alive
            entries.append(
                {
                    "name": name,
                    "state": state,
                    "pid": process.pid if process and alive else None,
                    "memory": sessions.memory(process.pid) if process and alive else 0,
                }
            )
        return entries

    def _service(self, name: str) -> Service:
        try:
            return self._services[name]
        except KeyError:
            raise ServiceError(f"there is no service {name}; there are: {', '.join(self._services)}") from None

    async def _start(self, service: Service) -> None:
        began = time.monotonic()
        self._states[service.name] = "starting"
        try:
            await service.prepare()
            process = await Process.start(
                service.command,
                {**self._environment, **service.environment},
                self._log / f"{service.name}.log",
                service.stop_signal,
            )
            self._processes[service.name] = process
            self._ledger.add(service.name, process.pid)
            await _unless_it_ends(process, self._become_healthy(service, process))
        except (OSError, ServiceError) as error:
            self._states[service.name] = "dead"
            raise ServiceError(f"{service.name} did not start: {error}") from error
        self._states[service.name] = "healthy"
        self._watchers[service.name] = asyncio.create_task(self._watch(service.name, process))
        self._report(f"{service.name:<16} healthy after {time.monotonic() - began:4.1f} s")

    async def _become_healthy(self, service: Service, process: Process) -> None:
        try:
            async with asyncio.timeout(service.timeout):
                while True:
                    if await _owns_its_ports(service, process) and await service.ready():
                        break
                    await asyncio.sleep(READY_EVERY)
        except TimeoutError:
            sentence = f"it was not ready after {service.timeout:g} s"
            raise ServiceError(_with_last_lines(sentence, process)) from None
        await service.finish()

    async def _watch(self, name: str, process: Process) -> None:
        await process.wait()
        self._states[name] = "dead"
        death = _with_last_lines(f"{name} {process.ending}", process)
        if self._early_death is None:
            self._report(f"{death}\nThe other services stay up; start it again with: {self._restart_with(name)}")
        elif not self._early_death.done():
            self._early_death.set_exception(ServiceError(death))

    def _give_up_start(self, name: str) -> None:
        restart = self._restarts.pop(name, None)
        if restart:
            restart.cancel()

    def _unwatch(self, name: str) -> None:
        watcher = self._watchers.pop(name, None)
        if watcher:
            watcher.cancel()


async def _owns_its_ports(service: Service, process: Process) -> bool:
    for port in service.ports:
        if not await asyncio.to_thread(listeners.owns, process.pid, port):
            return False
    return True


async def _unless_it_ends(process: Process, step: Awaitable[None]) -> None:
    """Await the step, but not longer than the process lives: nobody would ever answer it."""
    stepping, ending = asyncio.ensure_future(step), asyncio.create_task(process.wait())
    try:
        await asyncio.wait((stepping, ending), return_when=asyncio.FIRST_COMPLETED)
        if not stepping.done():
            raise ServiceError(_with_last_lines(f"it {process.ending}", process))
        await stepping
    finally:
        for task in (stepping, ending):
            task.cancel()
        await asyncio.gather(stepping, ending, return_exceptions=True)


def _with_last_lines(sentence: str, process: Process) -> str:
    lines = "".join(f"\n  {line}" for line in process.last_lines()) or " (it wrote nothing)"
    return f"{sentence}; its last lines, from {process.log}:{lines}"


def _waves(services: Mapping[str, Service]) -> list[tuple[str, ...]]:
    """Service names in the order of their needs, those that may go together in one tuple."""
    sorter = TopologicalSorter({name: service.after for name, service in services.items()})
    sorter.prepare()
    waves = []
    while sorter.is_active():
        wave = sorter.get_ready()
        waves.append(wave)
        sorter.done(*wave)
    return waves
