"""What every pod of this kubelet is run with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lab.kube import Kube, Object
from lab.kubelet.addresses import Addresses
from lab.kubelet.events import Recorder
from lab.kubelet.images import Images
from lab.kubelet.processes import MARK


@dataclass(frozen=True)
class Runtime:
    """The services and places that pods share.

    `root` is the kubelet's own folder, `node_root` holds a folder with the file tree of each node, `path` is the
    search path of containers whose image names none; without `namespaces` mount paths are rewritten (enclosures.py).
    `volume_lag` is how many seconds mounted Secrets and ConfigMaps lag behind their objects.
    """

    kube: Kube
    events: Recorder
    images: Images
    root: Path
    node_root: Path
    path: str
    namespaces: bool
    volume_lag: float
    addresses: Addresses = field(default_factory=Addresses)

    def folder_of(self, pod: Object) -> Path:
        """The folder of one pod: volumes, logs and homes of its containers."""
        return self.root / "pods" / str(pod["metadata"]["uid"])

    def environment_of(self, pod: Object) -> dict[str, str]:
        """The variables that a container has before its image's and its own."""
        address = urlsplit(self.kube.server)
        port = address.port or (443 if address.scheme == "https" else 80)
        return {
            "PATH": self.path,
            "LANG": "C.UTF-8",
            "HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"],
            "KUBERNETES_SERVICE_HOST": address.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(port),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(port),
            MARK: str(self.root),
        }

    def marked(self, variables: Mapping[str, str]) -> dict[str, str]:
        """`variables` with the one that must never be lost: it tells whose process this is."""
        return {**variables, MARK: str(self.root)}
