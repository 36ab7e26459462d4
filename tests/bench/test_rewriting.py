"""What journal, Lease and progress cost when 1,000 Secrets are written again, beside the bare list and write."""

from __future__ import annotations

import statistics
import time

import pytest

from infra_ops.clients.effects import Effects
from infra_ops.clients.journal import RunJournal
from infra_ops.clients.kubernetes import Cluster as Api
from infra_ops.clients.lease import ChangeLease
from infra_ops.operations.encryption.rewriting import rewrite
from tests.lab.cluster import Cluster
from tests.lab.conftest import cluster as cluster

COUNT, ROUNDS, GOAL = 1000, 3, 0.10
RUN = "secrets_encryption/bench"


def bare(api: Api) -> int:
    """`kubectl get secrets -A -o json | kubectl replace -f -`, by the same client."""
    done = 0
    for item in api.list("/api/v1/secrets"):
        metadata = item["metadata"]
        api.replace(
            f"/api/v1/namespaces/{metadata['namespace']}/secrets/{metadata['name']}",
            item | {"apiVersion": "v1", "kind": "Secret"},
        )
        done += 1
    return done


def test_rewriting_costs_little_more_than_the_bare_writes(
    cluster: Cluster,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    api, namespace = Api(), cluster.namespace()
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "infra-ops"}})
    for number in range(COUNT):
        item = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"s{number}"},
            "data": {"a": "c2VjcmV0" * 20},
        }
        api.create(f"/api/v1/namespaces/{namespace}/secrets", item)
    lease = ChangeLease(api, RUN)
    lease.acquire(lambda run: True)
    effects = Effects(RunJournal(api, RUN), lease.check)
    plain, ours = [], []
    for _ in range(ROUNDS):  # by turns, so that a busy machine slows both
        began = time.monotonic()
        assert bare(api) >= COUNT
        plain.append(time.monotonic() - began)
        began = time.monotonic()
        assert rewrite(api, lambda what, call: effects.do("rewrite", what, call)) >= COUNT
        ours.append(time.monotonic() - began)
    overhead = statistics.median(ours) / statistics.median(plain) - 1
    seconds = f"bare {statistics.median(plain):.1f} s, ours {statistics.median(ours):.1f} s"
    print(f"\n{COUNT} Secrets: {seconds}, {overhead:+.1%}")
    assert overhead < GOAL
