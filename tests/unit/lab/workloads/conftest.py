"""A world in memory: takes the controllers' writes and lets pods become ready when a test says so."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from lab.controllers.workloads import daemonsets, deployments, replicasets, statefulsets
from lab.controllers.workloads.view import View
from lab.controllers.workloads.writes import Create, Delete, Write

Object = dict[str, Any]


class World:
    def __init__(self) -> None:
        self.view = View()
        self._numbers = itertools.count(1)

    def add(self, item: Object) -> Object:
        """An object as the server would store it."""
        item = copy.deepcopy(item)
        number = next(self._numbers)
        metadata = item["metadata"]
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{number}"
        metadata |= {"uid": f"uid-{number}", "generation": 1, "resourceVersion": str(number)}
        self.view.put(item)
        return item

    def change(self, item: Object, patch: Object) -> Object:
        """A merge patch, with a new resourceVersion and, for spec changes, a new generation."""
        new = _merged(item, patch)
        new["metadata"]["resourceVersion"] = str(next(self._numbers))
        if "spec" in patch:
            new["metadata"]["generation"] += 1
        self.view.put(new)
        return new

    def get(self, kind: str, name: str) -> Object:
        item = self.view.get(kind, "shop", name)
        assert item is not None, f"{kind} {name} does not exist"
        return item

    def due(self) -> Iterator[Write]:
        for kind in (deployments, replicasets, statefulsets, daemonsets):
            yield from kind.due(self.view)

    def step(self) -> list[Write]:
        """Carries out everything that is due now."""
        writes = list(self.due())
        for write in writes:
            match write:
                case Create(item):
                    self.add(item)
                case Delete(item):
                    self.view.drop(item)
                case _:
                    current = self.view.get(write.item["kind"], "shop", write.item["metadata"]["name"])
                    self.change(current or write.item, write.patch)
        return writes

    def settle(self) -> None:
        """Steps, with every pod becoming ready at once, until nothing is due."""
        for _ in range(200):
            for pod in self.view.all("Pod"):
                self.make_ready(pod)
            if not self.step():
                return
        raise AssertionError("the controllers never come to rest")

    def make_ready(self, pod: Object) -> None:
        if not pod.get("status"):
            self.change(pod, {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        result[key] = _merged(result.get(key), value)
    return result


@pytest.fixture
def world() -> World:
    return World()


def workload(kind: str, image: str = "shop:1", **spec: Any) -> Object:
    labels = {"app": "shop"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "shop", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


@pytest.fixture(name="workload")
def workload_fixture() -> Any:
    return workload


def new_image(image: str) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "shop", "image": image}]}}}}


@pytest.fixture(name="new_image")
def new_image_fixture() -> Any:
    return new_image
