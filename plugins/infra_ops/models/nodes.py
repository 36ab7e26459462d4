"""A node of the cluster, as its API server tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """`ready` is the node's Ready condition; `reason` is the API server's word when it is not."""

    name: str
    ready: bool
    reason: str
    kubelet_version: str
