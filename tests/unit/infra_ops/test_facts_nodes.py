from typing import Any

import pytest

from infra_ops.facts.nodes import from_object, read_nodes
from infra_ops.models.nodes import Node


def node(name: str = "rpi-1", **ready: str) -> dict[str, Any]:
    conditions = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", **ready}]
    return {
        "metadata": {"name": name},
        "status": {"conditions": conditions, "nodeInfo": {"kubeletVersion": "v1.32.2+k3s1"}},
    }


def test_a_node_is_ready_when_its_ready_condition_is_true() -> None:
    assert from_object(node(status="True", reason="KubeletReady")) == Node("rpi-1", True, "", "v1.32.2+k3s1")


def test_a_node_that_stopped_reporting_is_not_ready_and_says_why() -> None:
    """The controller sets the condition to Unknown, not to False."""
    seen = from_object(node(status="Unknown", reason="NodeStatusUnknown", message="Kubelet stopped posting"))
    assert seen.ready is False
    assert seen.reason == "NodeStatusUnknown: Kubelet stopped posting"


@pytest.mark.parametrize("reported", [{"status": {}}, {}], ids=["empty status", "no status"])
def test_a_node_that_has_not_reported_yet_is_not_ready(reported: dict[str, Any]) -> None:
    seen = from_object({"metadata": {"name": "rpi-9"}, **reported})
    assert (seen.ready, seen.reason, seen.kubelet_version) == (False, "NoReadyCondition", "")


def test_nodes_come_in_the_order_of_their_names() -> None:
    class Cluster:
        def list(self, path: str) -> list[dict[str, Any]]:
            assert path == "/api/v1/nodes"
            return [node("rpi-2", status="True"), node("rpi-1", status="True")]

    assert [seen.name for seen in read_nodes(Cluster())] == ["rpi-1", "rpi-2"]  # type: ignore[arg-type]
