"""What a run leaves behind: evidence, a report, and the Lease where it belongs."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.exceptions import AirflowException, AirflowFailException, DownstreamTasksSkipped

from infra_ops.airflow.evidence import latest
from infra_ops.models.outcomes import State
from tests.unit.infra_ops.airflow import lamps
from tests.unit.infra_ops.airflow.conftest import Run
from tests.unit.infra_ops.fake_cluster import FakeCluster

LEASE = "/apis/coordination.k8s.io/v1/namespaces/infra-ops/leases/change"


@pytest.fixture
def done(applying: Run) -> Run:
    """A run that has switched both lamps on."""
    for task in ("introduce", "switch", "verify"):
        applying.execute(task)
    return applying


def published(run: Run) -> dict[str, Any]:
    """The one event of the run."""
    (event,) = run.events.by_uri.values()
    extra: dict[str, Any] = event.extra
    return extra


def test_one_event_carries_all_that_the_run_found(done: Run) -> None:
    done.execute("record")
    extra = published(done)
    assert (extra["run"], extra["mode"], extra["plan"]) == (
        "lamps/manual__1",
        "apply",
        done.xcom("plan", "plan")["id"],
    )
    found = [(outcome["id"], outcome["subject"]) for outcome in extra["outcomes"]]
    assert found == [("K900", "current"), ("K901", "green"), ("K901", "red")]


def test_the_next_task_that_asks_finds_the_outcome(done: Run) -> None:
    done.execute("record")
    known = latest("K901", "red")
    assert known is not None
    assert (known.state, known.run) == (State.PASS, "lamps/manual__1")


def test_what_the_lab_measured_says_so_and_is_not_found_elsewhere(done: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRA_OPS_ORIGIN", "lab")
    done.execute("record")
    assert published(done)["origin"] == "lab"
    monkeypatch.delenv("INFRA_OPS_ORIGIN")
    assert latest("K901", "red") is None


def test_a_run_whose_checks_failed_is_recorded_all_the_same(applying: Run) -> None:
    with pytest.raises(AirflowException):
        applying.execute("verify")
    applying.execute("record")
    known = latest("K901", "red")
    assert known is not None
    assert known.state is State.FAIL


def test_a_run_that_was_refused_at_once_is_recorded_too() -> None:
    run = Run(mode="apply", credential="flower")
    with pytest.raises(AirflowFailException):
        run.execute("preflight")
    run.execute("record")
    assert published(run)["outcomes"] == []
    assert "It was refused before it decided anything." in run.xcom("record", "report")


def test_a_server_that_takes_no_evidence_is_worth_another_try(done: Run, cluster: FakeCluster) -> None:
    cluster.away = True
    with pytest.raises(AirflowException, match="does not answer") as problem:
        done.execute("record")
    assert not isinstance(problem.value, AirflowFailException)


def test_the_report_tells_plan_writes_and_findings(done: Run) -> None:
    done.execute("record")
    report = done.xcom("record", "report")
    for line in ("# lamps/manual__1", "- switch.red: lamp red: off -> on", "switch red on", "- pass: K901 red"):
        assert line in report


def holder(cluster: FakeCluster) -> str:
    return str(cluster.objects[LEASE]["spec"]["holderIdentity"])


def test_a_run_that_is_through_gives_the_lease_back(done: Run, cluster: FakeCluster) -> None:
    done.execute("record")
    assert holder(cluster) == ""


def test_a_run_that_left_something_half_done_keeps_the_lease_for_being_cleared(
    applying: Run, cluster: FakeCluster
) -> None:
    applying.execute("introduce")
    lamps.WORLD["green"] = "broken"
    with pytest.raises(AirflowFailException):
        applying.execute("switch")
    applying.execute("record")
    assert holder(cluster) == "lamps/manual__1"


def test_a_run_that_took_everything_back_gives_the_lease_back(applying: Run, cluster: FakeCluster) -> None:
    applying.execute("introduce")
    applying.instance.states["switch"] = "failed"
    applying.execute("undo")
    applying.execute("record")
    assert holder(cluster) == ""


def test_a_run_that_wrote_nothing_leaves_no_journal(cluster: FakeCluster) -> None:
    lamps.WORLD.update(red="on", green="on")
    run = Run(mode="apply")
    run.execute("preflight")
    with pytest.raises(DownstreamTasksSkipped):
        run.execute("plan")
    run.execute("record")
    assert not [path for path in cluster.objects if "/journal-" in path]
