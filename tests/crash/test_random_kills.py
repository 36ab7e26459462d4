"""A rotation in a process of its own that gets SIGKILL at random instants, twenty times for each target.

The walk in process (tests/conformance/test_walk.py) dies between effects; this dies anywhere: in the middle of a
request, of a transaction, of reading the cluster. The store, the database and the API server are the real ones.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import random
import time
from collections import Counter
from multiprocessing.sharedctypes import RawValue
from typing import Any

import pytest

from infra_ops.clients.kubernetes import Cluster as Api
from infra_ops.clients.kv import Kv
from lab import credentials
from lab.layout import Lab
from tests.conformance.conftest import KINDS
from tests.conformance.stage import Stage
from tests.lab.rotation.stage import RootVault

POINTS = 20
EVERY = 0.02  # seconds between two looks of whoever rolls workloads out
PATIENCE = 120.0  # seconds for one rotation
FORK = multiprocessing.get_context("fork")  # the child knows the services, which run in threads of the parent


@dataclasses.dataclass
class Counted:
    """A journal of which another process sees how long it is."""

    length: Any = dataclasses.field(default_factory=lambda: RawValue("i", 0))

    def write(self, step: str, what: str) -> None:
        self.length.value += 1


class Child(Stage):
    """The stage of the process that rotates: workloads are rolled out by its parent."""

    def settle(self) -> None:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        while any(
            item["metadata"]["generation"] != item.get("status", {}).get("observedGeneration")
            for item in self.api.list(path)
        ):
            time.sleep(EVERY)


def rotate_until(on: Stage, token: str, seconds: float) -> tuple[float, int | None, int]:
    """How long the rotation ran until it ended or was killed, its exit code, and how many effects it had begun."""
    journal = Counted()

    def work() -> None:
        fields = {field.name: getattr(on, field.name) for field in dataclasses.fields(on)}
        own = {"kv": Kv(RootVault(token), "infra"), "api": Api(), "journal": journal}  # connections are not shared
        Child(**fields | own).rotate(force=True)

    child = FORK.Process(target=work)
    began = time.monotonic()
    child.start()
    while child.is_alive() and time.monotonic() < began + seconds:
        on.settle()
        time.sleep(EVERY)
    child.kill()
    took = time.monotonic() - began
    child.join()
    on.settle()
    return took, child.exitcode, journal.length.value


@pytest.mark.parametrize("stage", KINDS, indirect=True)
def test_killed_at_any_instant_and_run_again_it_ends_the_same(stage: Stage, lab: Lab) -> None:
    token = credentials.read(lab.credentials, "openbao_root")
    stage.rotate(force=True)
    took, code, effects = rotate_until(stage, token, PATIENCE)
    assert code == 0
    undisturbed = stage.relative_end_state()
    points = Counter[int]()
    for _ in range(POINTS):
        stage.clock.ahead += 86400
        before = stage.stored()
        instant = random.uniform(0, took)
        _, code, begun = rotate_until(stage, token, instant)
        points[begun] += 1
        assert stage.a_stored_login_works(), f"killed after {instant:.2f} s, {begun} effects"
        stage.rotate(force=stage.stored().version == before.version)
        assert stage.relative_end_state() == undisturbed, f"killed after {instant:.2f} s, {begun} effects"
    kind = stage.service.target["kind"]
    spread = ", ".join(f"{begun} ({count}x)" for begun, count in sorted(points.items()))
    print(f"{kind}: {POINTS} kills of a rotation of {took:.1f} s and {effects} effects, after {spread}")
    assert len(points) > 2, "all of them died at the same place"
