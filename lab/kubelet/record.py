"""What is told of one container: its status, and the events of its life."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lab.kube import Object
from lab.kubelet import container_status
from lab.kubelet.events import Recorder


class Record:
    """The ContainerStatus of one container and its events; `changed` is called whenever the status changes."""

    def __init__(
        self,
        events: Recorder,
        pod: Object,
        spec: Object,
        *,
        field_path: str,
        former: Object | None,
        changed: Callable[[], None],
    ) -> None:
        """`former` is the status that an earlier kubelet left; `field_path` names the container in the pod's spec."""
        self.status: Object = container_status.fresh(spec) | (former or {})
        self.started = asyncio.Event()
        self._events = events
        self._pod = pod
        self._name = spec["name"]
        self._field_path = field_path
        self._changed = changed

    def waiting(self, reason: str, message: str) -> None:
        """It cannot run now."""
        self._set(container_status.waiting(self.status, reason, message))

    def running(self, number: int, since: str, *, started: bool = True, ready: bool = True) -> None:
        """Its start of that number runs; its probes have not all been passed unless `started` and `ready`."""
        running = container_status.running(self.status, number, self._id(number), since, started=started, ready=ready)
        self._set(running)

    def probed(self, *, started: bool, ready: bool) -> None:
        """Its probes found this while it runs."""
        if (self.status["started"], self.status["ready"]) != (started, ready):
            self._set({**self.status, "started": started, "ready": ready})

    def ended(self, number: int, since: str, code: int, *, reason: str = "", message: str = "") -> None:
        """Its start of that number ended with an exit code."""
        ended = container_status.terminated(
            self.status, number, self._id(number), since, code, reason=reason, message=message
        )
        self._set(ended)

    def tell(self, type_: str, reason: str, message: str) -> None:
        """An event of the pod that concerns this container."""
        self._events.pod(self._pod, type_, reason, message, container=self._field_path)

    def _set(self, status: Object) -> None:
        self.status = status
        if status["started"]:
            self.started.set()
        self._changed()

    def _id(self, number: int) -> str:
        return f"lab://{self._pod['metadata']['uid']}/{self._name}/{number}"
