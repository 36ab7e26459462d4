"""Which kinds of objects the server has now, custom resources included."""

from dataclasses import dataclass
from typing import Any

from lab.kube import Kube

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind in the version that the server prefers, for example `apps/v1` Deployment."""

    version: str  # apiVersion
    name: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def collection(self) -> str:
        """The path of all its objects."""
        return f"{_base(self.version)}/{self.plural}"

    def path(self, namespace: str, name: str = "") -> str:
        """The path of one object, or of one namespace's objects."""
        middle = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{_base(self.version)}{middle}/{self.plural}" + (f"/{name}" if name else "")


async def kinds(kube: Kube) -> list[Kind]:
    """All kinds. Raises ApiError when one group cannot be read: whoever empties or collects must know all of them."""
    groups = (await kube.request("GET", "/apis"))["groups"]
    versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
    return [kind for version in versions for kind in await _kinds_of(kube, version)]


async def _kinds_of(kube: Kube, version: str) -> list[Kind]:
    resources: list[Object] = (await kube.request("GET", _base(version)))["resources"]
    return [
        Kind(version, each["kind"], each["name"], each["namespaced"], frozenset(each.get("verbs") or []))
        for each in resources
        if "/" not in each["name"]
    ]


def _base(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
