"""A stored pod that the kubelet cannot read, as one written before the server refused its like."""

import asyncio
from pathlib import Path
from typing import Any

from lab.kubelet.events import Recorder
from lab.kubelet.images import Images
from lab.kubelet.manager import Manager
from lab.kubelet.runtime import Runtime

Object = dict[str, Any]


class FakeKube:
    """Takes every request and notes it."""

    server = "https://127.0.0.1:6443"

    def __init__(self) -> None:
        self.requests: asyncio.Queue[tuple[str, str, Object]] = asyncio.Queue()

    async def request(self, method: str, path: str, *, body: Object, content_type: str) -> Object:
        self.requests.put_nowait((method, path, body))
        return {}


def unreadable(**metadata: str) -> Object:
    """A pod whose container has no image."""
    return {
        "kind": "Pod",
        "metadata": {"namespace": "n", "name": "a", "uid": "u", **metadata},
        "spec": {"nodeName": "rpi-1", "containers": [{"name": "c"}]},
    }


def runtime(folder: Path, kube: Any) -> Runtime:
    return Runtime(
        kube=kube,
        events=Recorder(kube),
        images=Images({}),
        root=folder,
        node_root=folder / "nodes",
        path="/bin",
        namespaces=False,
        volume_lag=0,
    )


def test_an_unreadable_pod_fails_with_the_reason_and_can_be_deleted(tmp_path: Path) -> None:
    """Raised inside the watch it would end this kubelet, and every later one, because the pod stays stored."""

    async def scene() -> None:
        kube = FakeKube()
        manager = Manager(runtime(tmp_path, kube), is_on=lambda _: True)
        async with asyncio.timeout(10):
            manager.see("ADDED", unreadable())
            method, path, body = await kube.requests.get()
            assert (method, path) == ("PATCH", "/api/v1/namespaces/n/pods/a/status")
            assert (body["status"]["phase"], body["status"]["reason"]) == ("Failed", "UnexpectedAdmissionError")
            assert body["status"]["message"].endswith("the kubelet cannot read it: KeyError: 'image'")

            told = unreadable(deletionTimestamp="2025-01-01T00:00:00Z") | {"status": body["status"]}
            manager.see("MODIFIED", told)
            method, path, body = await kube.requests.get()
            assert (method, path, body["gracePeriodSeconds"]) == ("DELETE", "/api/v1/namespaces/n/pods/a", 0)
            manager.see("DELETED", told)
        await manager.close()

    asyncio.run(scene())
