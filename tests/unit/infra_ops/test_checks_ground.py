"""Each way in which the ground can be unsound, one at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from infra_ops.checks.ground import check_ground
from infra_ops.models.ground import Ground, PodView, ServerView, WorkerView
from infra_ops.models.k3s import Snapshot, Unreadable
from infra_ops.models.nodes import Node
from infra_ops.models.outcomes import Outcome, not_passed
from infra_ops.models.store import Store

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
VERSION = "v1.32.2+k3s1"
NODES = [Node(f"rpi-{number}", True, "", VERSION) for number in (1, 2)]
POD = PodView(NODES)
SERVER = ServerView("rpi-1", VERSION, [Snapshot("etcd-snapshot-1", "file:///s", 7, NOW - timedelta(hours=6))])
WORKER = WorkerView(VERSION, NODES, Store("https://bao:8200", True, False, "approle", ""))
SOUND = Ground("rpi-1", POD, SERVER, WORKER)


def outcomes(ground: Ground) -> list[Outcome]:
    return check_ground(ground, now=NOW, run="ground_check/manual__1")


def bad(ground: Ground) -> list[tuple[str, str, str]]:
    return [(outcome.id, outcome.state.value, outcome.reason) for outcome in not_passed(outcomes(ground))]


def test_sound_ground_passes_every_check_once_for_each_subject() -> None:
    assert bad(SOUND) == []
    assert [outcome.id for outcome in outcomes(SOUND)] == ["K001", "K001", "K002", "K003", "K004", "K005"]


def test_every_check_id_is_explained_in_checks_yaml() -> None:
    explained = yaml.safe_load(Path("include/checks.yaml").read_text())
    for outcome in outcomes(SOUND):
        assert explained[outcome.id].keys() == {"title", "why", "how", "mend"}


def test_a_node_that_is_not_ready_fails_by_name() -> None:
    down = Node("rpi-2", False, "NodeStatusUnknown", VERSION)
    seen = bad(replace(SOUND, pod=PodView([NODES[0], down])))
    assert seen == [("K001", "fail", "NodeStatusUnknown")]


def test_a_node_that_is_not_ready_for_no_given_reason_still_fails() -> None:
    down = Node("rpi-2", False, "", VERSION)
    assert bad(replace(SOUND, pod=PodView([NODES[0], down]))) == [("K001", "fail", "the node gives no reason")]


def test_a_cluster_without_nodes_does_not_pass_for_want_of_a_bad_one() -> None:
    empty = replace(SOUND, pod=PodView([]), worker=replace(WORKER, nodes=[]))
    assert ("K001", "fail", "the cluster has no nodes") in bad(empty)


@pytest.mark.parametrize(
    "ground",
    [
        replace(SOUND, node=replace(SERVER, version="v1.32.3+k3s1")),
        replace(SOUND, pod=PodView([replace(NODES[0], kubelet_version="v1.32.3+k3s1"), NODES[1]])),
        replace(SOUND, worker=replace(WORKER, api_version="v1.32.3+k3s1")),
    ],
    ids=["SSH", "kubelet", "API server"],
)
def test_any_of_the_three_versions_that_differs_fails(ground: Ground) -> None:
    assert bad(ground) == [("K002", "fail", "the versions differ")]


def test_the_version_of_another_node_does_not_matter() -> None:
    """During an upgrade agents lag behind; K002 asks about the server that was named."""
    assert bad(replace(SOUND, pod=PodView([NODES[0], replace(NODES[1], kubelet_version="v1.31.0+k3s1")]))) == []


def test_nodes_that_only_one_of_the_two_saw_are_named() -> None:
    other = [NODES[0], Node("rpi-9", True, "", VERSION)]
    assert bad(replace(SOUND, worker=replace(WORKER, nodes=other))) == [
        ("K003", "fail", "only the pod saw rpi-2 and only the worker saw rpi-9")
    ]


@pytest.mark.parametrize(("age", "states"), [(389, []), (390, ["fail"]), (600, ["fail"])])
def test_the_newest_snapshot_may_be_six_and_a_half_hours_old(age: int, states: list[str]) -> None:
    old = Snapshot("old", "file:///s", 7, NOW - timedelta(days=9))
    newest = Snapshot("newest", "file:///s", 7, NOW - timedelta(minutes=age))
    seen = bad(replace(SOUND, node=replace(SERVER, snapshots=[old, newest])))
    assert [state for _, state, _ in seen] == states


def test_what_the_server_said_unreadably_is_unknown_and_all_else_is_still_measured() -> None:
    """One odd line of one command must not cost the findings of the pod and the worker."""
    odd = replace(SOUND, node=replace(SERVER, version=Unreadable("odd version")))
    assert bad(odd) == [("K002", "unknown", "odd version")]
    odd = replace(SOUND, node=replace(SERVER, snapshots=Unreadable("odd table")))
    assert bad(odd) == [("K004", "unknown", "odd table")]


def test_no_snapshot_fails() -> None:
    assert bad(replace(SOUND, node=replace(SERVER, snapshots=[]))) == [("K004", "fail", "the server lists no snapshot")]


def test_a_sealed_store_fails_and_an_unreachable_one_is_unknown() -> None:
    sealed = Store("https://bao:8200", True, True, "", "it is sealed")
    silent = Store("https://bao:8200", False, False, "", "it does not answer")
    assert bad(replace(SOUND, worker=replace(WORKER, store=sealed))) == [("K005", "fail", "it is sealed")]
    assert bad(replace(SOUND, worker=replace(WORKER, store=silent))) == [("K005", "unknown", "it does not answer")]


def test_an_open_store_that_refuses_the_worker_fails() -> None:
    shut = Store("https://bao:8200", True, False, "", "permission denied")
    assert bad(replace(SOUND, worker=replace(WORKER, store=shut))) == [("K005", "fail", "permission denied")]


@pytest.mark.parametrize(
    ("ground", "unknown"),
    [
        (replace(SOUND, pod=None), {"K002", "K003"}),
        (replace(SOUND, node=None), {"K002", "K004"}),
        (replace(SOUND, worker=None), {"K002", "K003", "K005"}),
        (Ground("rpi-1", None, None, None), {"K001", "K002", "K003", "K004", "K005"}),
    ],
    ids=["pod", "node", "worker", "all"],
)
def test_what_depends_on_a_missing_view_is_unknown_and_nothing_else(ground: Ground, unknown: set[str]) -> None:
    """Neither a pass nor a fail: nobody could look."""
    seen = bad(ground)
    assert {check for check, _, _ in seen} == unknown
    assert {state for _, state, _ in seen} == {"unknown"}


def test_an_unknown_outcome_names_only_those_whose_answer_it_needed() -> None:
    reasons = {check: reason for check, _, reason in bad(Ground("rpi-1", None, SERVER, None))}
    assert reasons["K003"] == "no answer from the pod and the worker: see the log of its task"
    assert reasons["K005"] == "no answer from the worker: see the log of its task"


def test_an_outcome_reads_as_a_sentence_and_travels_as_json() -> None:
    (outcome,) = not_passed(outcomes(replace(SOUND, node=replace(SERVER, version="v1.0"))))
    assert outcome.sentence() == (
        "K002 K3s on rpi-1: expected one version by SSH, kubelet and API server, "
        "saw SSH v1.0, kubelet v1.32.2+k3s1, API server v1.32.2+k3s1: the versions differ"
    )
    assert outcome.as_dict() | {"expected": "", "seen": ""} == {
        "id": "K002",
        "subject": "K3s on rpi-1",
        "state": "fail",
        "expected": "",
        "seen": "",
        "reason": "the versions differ",
        "measured_at": "2026-11-23T12:00:00+00:00",
        "valid_for": 3600.0,
        "run": "ground_check/manual__1",
    }
