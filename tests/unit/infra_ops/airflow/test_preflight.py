"""Whether a run may start, and whether it may change anything."""

from __future__ import annotations

import pytest
from airflow.exceptions import AirflowException, AirflowFailException

from infra_ops.models.outcomes import State
from tests.unit.infra_ops.airflow import lamps
from tests.unit.infra_ops.airflow.conftest import Run
from tests.unit.infra_ops.fake_cluster import FakeCluster

LEASE = "/apis/coordination.k8s.io/v1/namespaces/infra-ops/leases/change"


def holder(cluster: FakeCluster) -> str:
    lease = cluster.objects.get(LEASE, {"spec": {"holderIdentity": ""}})
    return str(lease["spec"]["holderIdentity"])


def test_a_misspelt_parameter_is_refused_in_one_sentence() -> None:
    """Airflow takes any key; without this the run would quietly do something else than was asked."""
    run = Run(mode="apply", credential="flower")
    with pytest.raises(AirflowFailException) as refused:
        run.execute("preflight")
    assert str(refused.value) == "This runbook has no parameter credential; it has mode, plan_id."
    assert run.xcom("preflight", "problem") == str(refused.value)


def test_a_run_that_applies_takes_the_lease(cluster: FakeCluster) -> None:
    Run(mode="apply").execute("preflight")
    assert holder(cluster) == "lamps/manual__1"


def test_a_run_that_plans_leaves_the_lease_alone(cluster: FakeCluster) -> None:
    Run().execute("preflight")
    assert cluster.objects == {}


def test_while_another_run_changes_something_ours_is_refused(cluster: FakeCluster) -> None:
    Run(mode="apply").execute("preflight")
    second = Run(mode="apply")
    second.instance.dag_id = "other"
    second.instance.unfinished = {"lamps/manual__1"}
    with pytest.raises(AirflowFailException, match="lamps/manual__1 is changing the cluster"):
        second.execute("preflight")
    assert holder(cluster) == "lamps/manual__1"


def test_the_lease_of_a_run_that_has_ended_is_taken_over(cluster: FakeCluster) -> None:
    Run(mode="apply").execute("preflight")
    second = Run(mode="apply")
    second.instance.dag_id = "other"
    second.execute("preflight")
    assert holder(cluster) == "other/manual__1"


@pytest.mark.parametrize("state", [State.FAIL, State.UNKNOWN])
def test_ground_that_does_not_hold_takes_no_lease_and_is_tried_again_only_when_it_could_not_be_seen(
    state: State, cluster: FakeCluster
) -> None:
    """Looking again at what was measured to be wrong may be one more wrong login."""
    lamps.GROUND["current"] = state
    run = Run(mode="apply")
    with pytest.raises(AirflowException, match="The ground does not hold:\nK900 current") as problem:
        run.execute("preflight")
    assert isinstance(problem.value, AirflowFailException) == (state is State.FAIL)
    assert cluster.objects == {}
    assert run.xcom("preflight", "outcomes")[0]["id"] == "K900"


@pytest.mark.parametrize(
    ("run_type", "approval", "listed", "mode"),
    [
        ("manual", "self", False, "apply"),
        ("manual", "named_plan", False, "apply"),
        ("scheduled", "self", True, "apply"),
        ("scheduled", "self", False, "plan"),
        ("scheduled", "named_plan", True, "plan"),
        ("asset_triggered", "self", False, "plan"),
    ],
)
def test_a_run_that_nobody_started_changes_things_only_where_the_inventory_lists_it(
    run_type: str, approval: str, listed: bool, mode: str, unattended: list[str]
) -> None:
    unattended += ["lamps"] if listed else ["other"]
    wishes = {"mode": "apply"} if run_type == "manual" else {}
    run = Run(approval, run_type, **wishes)
    run.execute("preflight")
    assert run.xcom("preflight", "mode")["name"] == mode


def test_a_scheduled_run_does_not_borrow_the_default_of_the_form(unattended: list[str]) -> None:
    """The form's default is to plan; a listed runbook would otherwise never do its work."""
    unattended.append("lamps")
    run = Run(run_type="scheduled")
    assert run.context()["params"]["mode"] == "plan"
    run.execute("preflight")
    assert run.xcom("preflight", "mode")["name"] == "apply"
