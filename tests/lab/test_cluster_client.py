"""The product's client of the Kubernetes API, on a server."""

from __future__ import annotations

import pytest

from infra_ops.clients.applying import Deployer
from tests.lab.cluster import Cluster

TEXT = "Wärme 😀"  # outside of the 16 bits that an escape in JSON has


def test_any_text_can_be_applied(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    path = f"/api/v1/namespaces/{cluster.namespace()}/configmaps/text"
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "text"}, "data": {"text": TEXT}}
    assert Deployer().apply(path, item, manager="test")["data"] == {"text": TEXT}
    assert Deployer().apply_strictly(path, item, dry_run=True)["data"] == {"text": TEXT}
