"""Which API servers the lab may be put on besides its own: disposable ones without anybody's nodes."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.errors import LabError, one_line
from lab.kube import ApiError, Kube, Object

LABEL = "infra-ops.lab/node"


class RefusedError(LabError):
    """The lab does not touch this cluster; the text names the server and says why."""


@dataclass(frozen=True)
class RealServer:
    """A server that the lab may use, and the `version` that it says it has, for example `v1.32.2+k3s1`."""

    url: str
    version: str


async def check(kubeconfig: Path, *, disposable: bool) -> RealServer:
    """The kubeconfig's server, if the lab may use it. Raises RefusedError if not."""
    try:
        kube = Kube(kubeconfig)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RefusedError(f"The kubeconfig {kubeconfig} cannot be used: {one_line(error)}.") from error
    if not disposable:
        raise RefusedError(
            f"{kubeconfig} names the API server {kube.server}: the lab would create and delete objects there. "
            "If that cluster is disposable, say so with --disposable."
        )
    try:
        async with kube:
            nodes = await kube.list("/api/v1/nodes")
            version = await kube.request("GET", "/version")
    except (ApiError, ConnectionError) as error:
        raise RefusedError(f"The nodes of {kube.server} cannot be listed: {error}.") from error
    foreign = [node["metadata"]["name"] for node in nodes if not _is_ours(node)]
    if foreign:
        raise RefusedError(
            f"{kube.server} has nodes that no lab registered ({', '.join(foreign)}): it is somebody's cluster, "
            "and the lab leaves it alone."
        )
    return RealServer(kube.server, version["gitVersion"])


def _is_ours(node: Object) -> bool:
    return bool(node["metadata"].get("labels", {}).get(LABEL) == "true")
