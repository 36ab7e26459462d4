"""The newest outcome of each check outlives the run that measured it, and what the lab measured stays in the lab."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra_ops.clients.evidence import Evidence
from infra_ops.clients.kubernetes import ClusterError
from infra_ops.models.outcomes import Outcome, State
from tests.unit.infra_ops.fake_cluster import FakeCluster

PATH = "/api/v1/namespaces/infra-ops/configmaps/evidence-k010"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def outcome(subject: str, *, check: str = "K010", minutes: int = 0, state: State = State.PASS) -> Outcome:
    at = NOON + timedelta(minutes=minutes)
    return Outcome(check, subject, state, "accepted", "accepted", "", at, timedelta(days=1), "dag/run")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def evidence(cluster: FakeCluster) -> Evidence:
    return Evidence(cluster, "cluster")  # type: ignore[arg-type]


def test_what_was_never_measured_is_not_known(evidence: Evidence) -> None:
    assert evidence.latest("K010", "flower") is None


def test_an_outcome_is_known_to_whoever_asks_later(evidence: Evidence, cluster: FakeCluster) -> None:
    evidence.add([outcome("flower"), outcome("flower", check="K011")])
    later = Evidence(cluster, "cluster")  # type: ignore[arg-type]
    assert later.latest("K010", "flower") == outcome("flower")
    assert later.latest("K011", "flower") == outcome("flower", check="K011")


def test_the_next_run_replaces_its_own_subjects_and_keeps_the_others(evidence: Evidence) -> None:
    evidence.add([outcome("flower"), outcome("postgres")])
    evidence.add([outcome("flower", minutes=5, state=State.FAIL)])
    assert evidence.latest("K010", "flower") == outcome("flower", minutes=5, state=State.FAIL)
    assert evidence.latest("K010", "postgres") == outcome("postgres")


def test_a_record_that_comes_late_does_not_hide_what_was_measured_after_it(evidence: Evidence) -> None:
    evidence.add([outcome("flower", minutes=5)])
    evidence.add([outcome("flower", state=State.FAIL)])
    assert evidence.latest("K010", "flower") == outcome("flower", minutes=5)


def test_what_the_lab_measured_never_counts_for_a_real_cluster(cluster: FakeCluster) -> None:
    """A lab put on a real API server leaves its ConfigMaps there."""
    lab, real = Evidence(cluster, "lab"), Evidence(cluster, "cluster")  # type: ignore[arg-type]
    lab.add([outcome("flower"), outcome("postgres")])
    assert real.latest("K010", "flower") is None
    real.add([outcome("flower", minutes=5)])
    assert real.latest("K010", "postgres") is None
    assert cluster.get(PATH)["metadata"]["labels"]["infra-ops/origin"] == "cluster"


class Interrupted(FakeCluster):
    """Another run writes its own outcome just before our write arrives, `times` times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def create(self, path: str, item: dict[str, Any]) -> dict[str, Any]:
        self._other_run()
        return super().create(path, item)

    def apply(self, path: str, item: dict[str, Any], *, manager: str, force: bool = False) -> dict[str, Any]:
        self._other_run()
        return super().apply(path, item, manager=manager, force=force)

    def _other_run(self) -> None:
        if self.times:
            times, self.times = self.times, 0
            Evidence(self, "cluster").add([outcome(f"other {times}")])  # type: ignore[arg-type]
            self.times = times - 1


@pytest.mark.parametrize("times", [1, 2])
def test_two_runs_that_record_at_once_both_stay(times: int) -> None:
    """Once before the first object exists, and once after."""
    cluster = Interrupted(times)
    evidence = Evidence(cluster, "cluster")  # type: ignore[arg-type]
    evidence.add([outcome("flower")])
    for subject in ["flower", *(f"other {time + 1}" for time in range(times))]:
        assert evidence.latest("K010", subject) is not None


def test_a_server_that_never_lets_us_write_is_an_error() -> None:
    with pytest.raises(ClusterError):
        Evidence(Interrupted(100), "cluster").add([outcome("flower")])  # type: ignore[arg-type]
