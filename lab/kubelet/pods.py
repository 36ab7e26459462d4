"""The life of one pod on its node, from its binding to its removal."""

from __future__ import annotations

import asyncio
import logging

from lab import times
from lab.kube import ApiError, Object, Objects
from lab.kubelet.containers import Container, Restart
from lab.kubelet.record import Record
from lab.kubelet.reporter import Reporter
from lab.kubelet.runtime import Runtime
from lab.kubelet.status import ADDRESS, Containers, addresses, pod_status
from lab.kubelet.volumes import VolumeError, Volumes

log = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.1, 2.0
_FINISHED = ("Succeeded", "Failed")


class Pod:
    """One pod: what it runs, and what the API server is told about it.

    Give it every new version of the object by `update`. It is done when `run` returns: the object has been removed, or
    is only kept by finalizers.
    """

    def __init__(self, runtime: Runtime, pod: Object) -> None:
        self.object = pod
        self._runtime = runtime
        on_host = pod["spec"].get("hostNetwork", False)
        self._address = ADDRESS if on_host else runtime.addresses.take(pod["metadata"]["uid"])
        self._folder = runtime.folder_of(pod)
        self._volumes = Volumes(
            runtime.kube,
            pod,
            folder=self._folder,
            claims=runtime.root / "claims",
            node=runtime.node_root / str(pod["spec"]["nodeName"]),
            lag=runtime.volume_lag,
        )
        status = pod.get("status") or {}
        self._start_time = status.get("startTime") or times.seconds()
        self._over = status.get("phase") in _FINISHED
        self._verdict: Object | None = None
        self._conditions: Objects = status.get("conditions") or []
        self._reporter = Reporter(runtime.kube, pod, self._status)
        self._updated = asyncio.Event()
        self._deleted = asyncio.Event()
        self._policy: Restart = pod["spec"].get("restartPolicy", "Always")
        inits = pod["spec"].get("initContainers") or []
        self._init = [self._container(spec, "initContainer") for spec in inits]
        self._main = [self._container(spec, "container") for spec in pod["spec"]["containers"]]
        self._sidecars = {spec["name"] for spec in inits if spec.get("restartPolicy") == "Always"}

    @property
    def containers(self) -> dict[str, Container]:
        """All containers by name."""
        return {container.name: container for container in [*self._init, *self._main]}

    def update(self, pod: Object) -> None:
        """Take note of a newer version of the object."""
        self.object = pod
        self._volumes.update_pod(pod)
        self._updated.set()
        if pod["metadata"].get("deletionTimestamp"):
            self._deleted.set()

    def invalidate(self, kind: str, name: str) -> None:
        """Take note that a Secret or ConfigMap of the namespace changed."""
        self._volumes.invalidate(kind, name)

    async def run(self) -> None:
        """Live to the end. When cancelled, it ends as by a power failure: at once, and nobody is told."""
        background = [asyncio.create_task(self._reporter.run())]
        if any(not container.held for container in self.containers.values()):
            background.append(asyncio.create_task(self._volumes.keep_fresh()))
        try:
            self.update(self.object)
            if not self._over:
                await self._live()
            await self._deleted.wait()
            await self._reporter.remove()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*(container.abandon() for container in self.containers.values()))

    async def _live(self) -> None:
        """Until no container will start again: they ended by themselves, or deletion or the deadline ended them."""
        self._reporter.changed()
        course = asyncio.create_task(self._course())
        deleted = asyncio.create_task(self._deleted.wait())
        late = asyncio.create_task(self._until_deadline())
        try:
            await asyncio.wait([course, deleted, late], return_when=asyncio.FIRST_COMPLETED)
            if course.done():
                course.result()
            elif late.done():
                self._verdict = {
                    "phase": "Failed",
                    "reason": "DeadlineExceeded",
                    "message": "Pod was active on the node longer than the specified deadline",
                }
                self._tell("Normal", "DeadlineExceeded", self._verdict["message"])
        finally:
            for task in (course, deleted, late):
                task.cancel()
        await self._stop()
        self._over = True
        await self._reporter.flush()

    async def _course(self) -> None:
        """The order in which containers start; returns when the last has ended for good."""
        await self._mount()
        for container in self._init:
            container.start()
            if container.name in self._sidecars:
                await container.record.started.wait()
            elif await container.finished() != 0:
                return
        for container in self._main:
            container.start()
        await asyncio.gather(*(container.finished() for container in self._main))

    async def _mount(self) -> None:
        """Mount the volumes, as soon as that is possible. Held containers would not look at them."""
        delay = _FIRST_RETRY_SECONDS
        while any(not container.held for container in self.containers.values()):
            try:
                await self._volumes.mount()
                return
            except VolumeError as error:
                self._tell("Warning", "FailedMount", str(error))
            except (ApiError, ConnectionError) as error:
                log.info("the volumes of pod %s wait for the API server: %s", self.object["metadata"]["name"], error)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LAST_RETRY_SECONDS)

    async def _stop(self) -> None:
        """End what still runs: first the main containers together, then the side-cars, last started first."""
        metadata, spec = self.object["metadata"], self.object["spec"]
        grace = float(metadata.get("deletionGracePeriodSeconds", spec.get("terminationGracePeriodSeconds", 30)))
        ordinary = [container for container in self.containers.values() if container.name not in self._sidecars]
        await asyncio.gather(*(container.stop(grace) for container in ordinary))
        for container in reversed(self._init):
            await container.stop(grace)

    async def _until_deadline(self) -> None:
        """Until `activeDeadlineSeconds` have passed since the start; for ever without them."""
        started = times.parse(self._start_time).timestamp()
        while True:
            seconds = self.object["spec"].get("activeDeadlineSeconds")
            left = None if seconds is None else started + seconds - times.parse(times.nanos()).timestamp()
            try:
                async with asyncio.timeout(left):
                    await self._updated.wait()
                self._updated.clear()
            except TimeoutError:
                return

    def _container(self, spec: Object, kind: str) -> Container:
        statuses = (self.object.get("status") or {}).get(f"{kind}Statuses") or []
        restart = self._policy
        if kind == "initContainer":
            once: Restart = "Never" if self._policy == "Never" else "OnFailure"
            restart = "Always" if spec.get("restartPolicy") == "Always" else once
        pod = {**self.object, "status": {**(self.object.get("status") or {}), **addresses(self._address)}}
        record = Record(
            self._runtime.events,
            pod,
            spec,
            field_path=f"spec.{kind}s{{{spec['name']}}}",
            former=next((status for status in statuses if status["name"] == spec["name"]), None),
            changed=self._reporter.changed,
        )
        return Container(self._runtime, pod, spec, self._volumes, record, restart)

    def _status(self) -> Object:
        containers = Containers(
            init=[container.record.status for container in self._init],
            main=[container.record.status for container in self._main],
            sidecars=frozenset(self._sidecars),
        )
        status = pod_status(
            containers,
            self._conditions,
            restart_policy=self._policy,
            over=self._over,
            verdict=self._verdict,
            address=self._address,
            start_time=self._start_time,
            now=times.seconds(),
        )
        self._conditions = status["conditions"]
        return status

    def _tell(self, type_: str, reason: str, message: str) -> None:
        self._runtime.events.pod(self.object, type_, reason, message)
