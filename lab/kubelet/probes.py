"""Startup, readiness and liveness probes of a container: exec, httpGet and tcpSocket."""

from __future__ import annotations

import asyncio
from typing import Protocol

import aiohttp

from lab.kube import Object
from lab.kubelet import session as sessions
from lab.kubelet.enclosures import Command


class Probed(Protocol):
    """What a container offers to its probes."""

    spec: Object
    address: str

    def entering(self, argv: tuple[str, ...]) -> Command: ...
    def probed(self, *, started: bool, ready: bool) -> None: ...
    def unhealthy(self, message: str) -> None: ...
    async def restart(self, probe: str) -> None: ...


class Probes:
    """The probes of one start of a container."""

    def __init__(self, container: Probed) -> None:
        self._container = container
        self._startup, self._readiness, self._liveness = (
            container.spec.get(f"{name}Probe") for name in ("startup", "readiness", "liveness")
        )
        self.delay_start = bool(self._startup)
        self.delay_ready = bool(self._startup or self._readiness)

    async def run(self) -> None:
        """Probe until cancelled (or until there is nothing left to probe)."""
        if self._startup and not await self._passes_startup(self._startup):
            await self._container.restart("startup")
            return
        self._container.probed(started=True, ready=not self._readiness)
        async with asyncio.TaskGroup() as group:
            if self._readiness:
                group.create_task(self._watch_readiness(self._readiness))
            if self._liveness:
                group.create_task(self._watch_liveness(self._liveness))

    async def _passes_startup(self, probe: Object) -> bool:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        for _ in range(probe.get("failureThreshold", 3)):
            if await self._succeeds(probe, "Startup"):
                return True
            await asyncio.sleep(probe.get("periodSeconds", 10))
        return False

    async def _watch_readiness(self, probe: Object) -> None:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        ready, successes, failures = False, 0, 0
        while True:
            if await self._succeeds(probe, "Readiness"):
                successes, failures = successes + 1, 0
            else:
                successes, failures = 0, failures + 1
            if successes >= probe.get("successThreshold", 1):
                ready = True
            elif failures >= probe.get("failureThreshold", 3):
                ready = False
            self._container.probed(started=True, ready=ready)
            await asyncio.sleep(probe.get("periodSeconds", 10))

    async def _watch_liveness(self, probe: Object) -> None:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        failures = 0
        while failures < probe.get("failureThreshold", 3):
            failures = 0 if await self._succeeds(probe, "Liveness") else failures + 1
            await asyncio.sleep(probe.get("periodSeconds", 10) if failures < probe.get("failureThreshold", 3) else 0)
        await self._container.restart("liveness")

    async def _succeeds(self, probe: Object, name: str) -> bool:
        try:
            async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
                failure = await self._try(probe)
        except TimeoutError:
            failure = "timed out"
        except (OSError, aiohttp.ClientError) as error:
            failure = str(error)
        if failure:
            self._container.unhealthy(f"{name} probe failed: {failure}")
        return not failure

    async def _try(self, probe: Object) -> str:
        """Why the probe fails now; empty if it succeeds."""
        if "exec" in probe:
            return await self._execute(tuple(probe["exec"]["command"]))
        if "httpGet" in probe:
            return await self._get(probe["httpGet"])
        if "tcpSocket" in probe:
            target = probe["tcpSocket"]
            host = target.get("host") or self._container.address
            _, writer = await asyncio.open_connection(host, self._port(target["port"]))
            writer.close()
            return ""
        return f"the lab does not know this kind of probe: {', '.join(sorted(probe))}"

    async def _execute(self, argv: tuple[str, ...]) -> str:
        session = await sessions.start(self._container.entering(argv), tty=False)
        try:
            session.end_input()
            output = b"".join(await asyncio.gather(*(stream.read() for stream in session.outputs)))
            code = await session.process.wait()
        finally:
            session.close()
        return "" if code == 0 else output.decode(errors="replace") or f"exit code {code}"

    async def _get(self, target: Object) -> str:
        scheme, path = target.get("scheme", "HTTP").lower(), target.get("path") or "/"
        host = target.get("host") or self._container.address
        url = f"{scheme}://{host}:{self._port(target['port'])}{path}"
        headers = {header["name"]: header["value"] for header in target.get("httpHeaders") or []}
        # A real kubelet does not verify a container's certificate either.
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=False) as answer:
            return "" if answer.status < 400 else f"HTTP probe failed with statuscode: {answer.status}"

    def _port(self, port: int | str) -> int:
        """A port given by number, or by the name that the container gave it."""
        for named in self._container.spec.get("ports") or []:
            if named.get("name") == port:
                return int(named["containerPort"])
        return int(port)
