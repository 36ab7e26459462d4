"""Which nodes there are and how they feel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra_ops.models.nodes import Node

if TYPE_CHECKING:  # the client costs seconds to import, and whoever has a Cluster has imported it
    from infra_ops.clients.kubernetes import Cluster


def read_nodes(cluster: Cluster) -> list[Node]:
    """All nodes, by name. Raises `ClusterError`."""
    return sorted(map(from_object, cluster.list("/api/v1/nodes")), key=lambda node: node.name)


def from_object(obj: dict[str, Any]) -> Node:
    """Ready only if the Ready condition is "True": a node that stopped reporting has it "Unknown"."""
    status = obj.get("status", {})  # a node that was made by hand has none until its kubelet reports
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    condition = conditions.get("Ready", {"status": "Unknown", "reason": "NoReadyCondition"})
    ready = condition["status"] == "True"
    words = [condition.get("reason", ""), condition.get("message", "")]
    return Node(
        name=obj["metadata"]["name"],
        ready=ready,
        reason="" if ready else ": ".join(word for word in words if word),
        kubelet_version=status.get("nodeInfo", {}).get("kubeletVersion", ""),
    )
