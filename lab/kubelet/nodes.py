"""The lab's nodes as Kubernetes sees them: registered, kept alive by Leases, and silent while their power is off."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from pathlib import Path

from lab import power, times
from lab.kube import ApiError, Kube, Object, Objects
from lab.kubelet.status import ADDRESS
from lab.seed.nodes import NodeSpec

log = logging.getLogger(__name__)

MANAGER = "kubelet"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_LEASE_SECONDS = 40
_STATUS_EVERY = 30  # heartbeats: a status that did not change is told again every 5 minutes
_POWER_POLL_SECONDS = 0.5
_RETRY_SECONDS = 2.0
_HEALTHY = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}


class Nodes:
    """Registers the nodes that have power and keeps them alive.

    They claim to run K3s `version`; `port` is where the kubelet serves logs and exec. The power switches (lab/power.py)
    are in `folder`; `switched(name, on)` is called when one is worked.
    """

    def __init__(
        self,
        kube: Kube,
        specs: list[NodeSpec],
        *,
        version: str,
        port: int,
        folder: Path,
        heartbeat: float,
        switched: Callable[[str, bool], None],
    ) -> None:
        self._kube = kube
        self._specs = {spec.name: spec for spec in specs}
        self._version = version
        self._port = port
        self._folder = folder
        self._heartbeat = heartbeat
        self._switched = switched
        self._boot_ids = {name: str(uuid.uuid4()) for name in self._specs}
        self._on = {name for name in self._specs if power.is_on(folder, name)}
        self._not_ready: asyncio.Queue[str] = asyncio.Queue()

    def is_on(self, name: str) -> bool:
        """Whether it is one of the lab's nodes and has power."""
        return name in self._on

    def see(self, kind: str, node: Object) -> None:
        """Take note of one watch event of a node: one that is on must not be called not ready."""
        name = node["metadata"]["name"]
        if kind != "DELETED" and self.is_on(name) and _condition(node, "Ready").get("status") != "True":
            self._not_ready.put_nowait(name)

    async def register(self) -> None:
        """Create or renew the objects of all nodes that are on. An unreachable server is waited for."""
        await asyncio.gather(*(self._register(name) for name in sorted(self._on)))

    async def run(self) -> None:
        """For ever: heartbeats, power switches, and conditions that somebody else changed."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._watch_power())
            group.create_task(self._correct())

    async def _beat(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(self._heartbeat)
            beats += 1
            await asyncio.gather(*(self._renew(name) for name in sorted(self._on)))
            if beats % _STATUS_EVERY == 0:
                await asyncio.gather(*(self._post_status(name) for name in sorted(self._on)))

    async def _watch_power(self) -> None:
        while True:
            await asyncio.sleep(_POWER_POLL_SECONDS)
            for name in self._specs:
                on = power.is_on(self._folder, name)
                if not on and name in self._on:
                    log.info("node %s is switched off", name)
                    self._on.remove(name)
                    self._switched(name, False)
                elif on and name not in self._on:
                    log.info("node %s is switched on", name)
                    self._boot_ids[name] = str(uuid.uuid4())
                    await self._register(name)
                    self._on.add(name)
                    self._switched(name, True)

    async def _correct(self) -> None:
        while True:
            name = await self._not_ready.get()
            if self.is_on(name):
                await self._post_status(name)

    async def _register(self, name: str) -> None:
        spec = self._specs[name]
        annotations = {"k3s.io/hostname": name, "k3s.io/internal-ip": spec.address}
        node: Object = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": _labels(spec), "annotations": annotations},
            "spec": {"providerID": f"k3s://{name}"},
        }
        while True:
            try:
                await self._kube.apply(node, manager=MANAGER, force=True)
                break
            except (ApiError, ConnectionError) as error:
                log.warning("node %s is not registered yet: %s", name, error)
                await asyncio.sleep(_RETRY_SECONDS)
        await self._post_status(name)
        await self._renew(name)

    async def _post_status(self, name: str) -> None:
        try:
            node = await self._kube.request("GET", f"/api/v1/nodes/{name}")
            status = self._status(self._specs[name], (node.get("status") or {}).get("conditions") or [])
            body: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}
            await self._kube.apply(body, manager=MANAGER, force=True, subresource="status")
        except (ApiError, ConnectionError) as error:
            log.warning("the status of node %s is not told: %s", name, error)

    async def _renew(self, name: str) -> None:
        now = times.micros()
        try:
            try:
                change: Object = {"spec": {"holderIdentity": name, "renewTime": now}}
                await self._kube.request(
                    "PATCH", f"{LEASES}/{name}", body=change, content_type="application/merge-patch+json"
                )
            except ApiError as error:
                if error.status != 404:
                    raise
                await self._kube.request("POST", LEASES, body=await self._lease(name, now))
        except (ApiError, ConnectionError) as error:
            log.warning("the lease of node %s is not renewed: %s", name, error)

    async def _lease(self, name: str, now: str) -> Object:
        node = await self._kube.request("GET", f"/api/v1/nodes/{name}")
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease", "ownerReferences": [owner]},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": now},
        }

    def _status(self, spec: NodeSpec, former: Objects) -> Object:
        return {
            "capacity": spec.capacity,
            "allocatable": spec.capacity,
            "addresses": [{"type": "InternalIP", "address": ADDRESS}, {"type": "Hostname", "address": spec.name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "conditions": _conditions(former),
            "nodeInfo": {
                "architecture": "arm64",
                "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "kernelVersion": "6.6.74+rpt-rpi-2712",
                "containerRuntimeVersion": "containerd://2.0.2-k3s2",
                "kubeletVersion": self._version,
                "kubeProxyVersion": self._version,
                "machineID": uuid.uuid5(uuid.NAMESPACE_DNS, spec.name).hex,
                "systemUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, spec.name)),
                "bootID": self._boot_ids[spec.name],
            },
        }


def _labels(spec: NodeSpec) -> dict[str, str]:
    """The labels that K3s gives such a node, and the lab's own."""
    labels = {
        "kubernetes.io/arch": "arm64",
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": spec.name,
        "node.kubernetes.io/instance-type": "k3s",
        "infra-ops.lab/node": "true",
    }
    roles = ("control-plane", "etcd", "master") if spec.role == "server" else ()
    return labels | {f"node-role.kubernetes.io/{role}": "true" for role in roles}


def _conditions(former: Objects) -> Objects:
    """The conditions of a healthy node, each with the time since which it has its status."""
    now = times.seconds()
    known = {condition["type"]: condition for condition in former}
    conditions = []
    for type_, (status, reason, message) in _HEALTHY.items():
        same = type_ in known and known[type_]["status"] == status
        since = known[type_].get("lastTransitionTime", now) if same else now
        conditions.append(
            {
                "type": type_,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": since,
            }
        )
    return conditions


def _condition(node: Object, type_: str) -> Object:
    conditions: Objects = (node.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == type_), {})
