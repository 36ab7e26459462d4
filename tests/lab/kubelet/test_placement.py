"""The scheduler's decisions, as a pure function of pod and nodes."""

from decimal import Decimal
from typing import Any

import pytest

from lab.kubelet import placement


def node(name: str, labels: dict[str, str] | None = None, taints: list[dict[str, str]] | None = None, **spec: Any):
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {"taints": taints or [], **spec},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "3"}},
    }


def pod(requests: dict[str, str] | None = None, **spec: Any):
    return {"spec": {"containers": [{"name": "c", "resources": {"requests": requests or {}}}], **spec}}


def required(**term: Any) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [term]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def test_the_node_with_the_fewest_pods_is_best() -> None:
    used = {"a": {"pods": Decimal(2)}, "b": {"pods": Decimal(1)}}
    assert placement.choose(pod(), [node("a"), node("b")], used) == ("b", "")


def test_requests_must_fit_beside_those_that_are_there() -> None:
    nodes, used = [node("a")], {"a": {"cpu": Decimal("3.5"), "pods": Decimal(1)}}
    assert placement.choose(pod({"cpu": "500m"}), nodes, used)[0] == "a"
    assert placement.choose(pod({"cpu": "501m"}), nodes, used) == ("", "0/1 nodes are available: 1 Insufficient cpu.")


def test_a_node_takes_no_more_pods_than_it_may() -> None:
    used = {"a": {"pods": Decimal(3)}}
    assert placement.choose(pod(), [node("a")], used) == ("", "0/1 nodes are available: 1 Too many pods.")


def test_limits_count_where_no_request_is_named() -> None:
    limited = {"spec": {"containers": [{"resources": {"limits": {"cpu": "2"}}}]}}
    assert placement.requests(limited)["cpu"] == 2


def test_a_big_init_container_counts_alone_and_side_cars_count_with_the_rest() -> None:
    containers = [{"resources": {"requests": {"cpu": "1"}}}, {"resources": {"requests": {"cpu": "1"}}}]
    big = {"resources": {"requests": {"cpu": "3"}}}
    side = {"resources": {"requests": {"cpu": "1"}}, "restartPolicy": "Always"}
    assert placement.requests({"spec": {"containers": containers, "initContainers": [big]}})["cpu"] == 3
    assert placement.requests({"spec": {"containers": containers, "initContainers": [side]}})["cpu"] == 3


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_a_taint_keeps_away_those_that_do_not_tolerate_it(toleration: dict[str, str], tolerated: bool) -> None:
    nodes = [node("a", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])]
    chosen, reason = placement.choose(pod(tolerations=[toleration]), nodes, {})
    assert bool(chosen) == tolerated
    assert tolerated or reason == "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}."


def test_a_taint_that_only_prefers_keeps_nobody_away() -> None:
    nodes = [node("a", taints=[{"key": "gpu", "effect": "PreferNoSchedule"}])]
    assert placement.choose(pod(), nodes, {})[0] == "a"


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}, True),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, False),
        ({"key": "disk", "operator": "Exists"}, True),
        ({"key": "disk", "operator": "DoesNotExist"}, False),
        ({"key": "other", "operator": "DoesNotExist"}, True),
        ({"key": "size", "operator": "Gt", "values": ["9"]}, True),
        ({"key": "size", "operator": "Lt", "values": ["9"]}, False),
    ],
)
def test_required_node_affinity(expression: dict[str, Any], fits: bool) -> None:
    nodes = [node("a", labels={"disk": "ssd", "size": "10"})]
    chosen, _ = placement.choose(pod(**required(matchExpressions=[expression])), nodes, {})
    assert bool(chosen) == fits


def test_a_daemon_sets_pod_names_its_node_by_a_field() -> None:
    field = {"key": "metadata.name", "operator": "In", "values": ["b"]}
    assert placement.choose(pod(**required(matchFields=[field])), [node("a"), node("b")], {})[0] == "b"


def test_the_refusal_counts_the_nodes_for_each_reason() -> None:
    nodes = [node("a", unschedulable=True), node("b"), node("c")]
    chosen, reason = placement.choose(pod(nodeSelector={"disk": "ssd"}), nodes, {})
    assert not chosen
    assert reason == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector."
    )
