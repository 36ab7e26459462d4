"""The few verbs of an API server on a dict, with resource versions: for tests of what is written, not of the wire."""

from __future__ import annotations

import copy
from typing import Any

from infra_ops.clients.kubernetes import ClusterError


class FakeCluster:
    """Stands for `Cluster`. `objects` maps a path to the object there; `away` makes every call fail."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.away = False
        self._revision = 0

    def get(self, path: str) -> dict[str, Any]:
        self._answer()
        if path not in self.objects:
            raise ClusterError(f"{path} not found", 404)
        return copy.deepcopy(self.objects[path])

    def create(self, path: str, item: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        name = f"{path}/{item['metadata']['name']}"
        if name in self.objects:
            raise ClusterError(f"{name} already exists", 409)
        return self._store(name, item)

    def replace(self, path: str, item: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        self._compare(path, item)
        return self._store(path, item)

    def merge(self, path: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Data only, which is all that the journal merges."""
        found = self.get(path)
        return self._store(path, found | {"data": found.get("data", {}) | patch["data"]})

    def apply(self, path: str, item: dict[str, Any], *, manager: str, force: bool = False) -> dict[str, Any]:
        self._answer()
        self._compare(path, item)
        return self._store(path, item)

    def _answer(self) -> None:
        if self.away:
            raise ClusterError("the API server https://fake does not answer: Connection refused")

    def _compare(self, path: str, item: dict[str, Any]) -> None:
        version = item["metadata"].get("resourceVersion")
        if version and version != self.objects[path]["metadata"]["resourceVersion"]:
            raise ClusterError(f"{path}: the object has been modified", 409)

    def _store(self, path: str, item: dict[str, Any]) -> dict[str, Any]:
        self._revision += 1
        self.objects[path] = copy.deepcopy(item)
        self.objects[path]["metadata"]["resourceVersion"] = str(self._revision)
        return self.get(path)
