"""What runs keep in the cluster, over the wire: the newest outcomes, the journal and the Lease."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from infra_ops.clients.evidence import COLLECTION, Evidence
from infra_ops.clients.journal import RunJournal
from infra_ops.clients.kubernetes import Cluster as Client
from infra_ops.clients.kubernetes import ClusterError
from infra_ops.clients.lease import ChangeInProgress, ChangeLease
from infra_ops.models.outcomes import Outcome, State
from tests.lab.cluster import Cluster

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "infra-ops"}}
RECORDS = ("configmaps/evidence-k901", "configmaps/evidence-k902")
LEASE = "/apis/coordination.k8s.io/v1/namespaces/infra-ops/leases/change"


@pytest.fixture
def client(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The product's client, on a server with the namespace of the records and no record yet."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    client = Client()
    try:
        client.create("/api/v1/namespaces", NAMESPACE)
    except ClusterError as error:
        if error.status != 409:
            raise
    yield client
    for record in RECORDS:
        client.delete(f"/api/v1/namespaces/infra-ops/{record}")
    client.delete(LEASE)


def outcome(subject: str, check: str = "K901", *, minutes: int = 0) -> Outcome:
    at = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(minutes=minutes)
    return Outcome(check, subject, State.PASS, "on", "on", "", at, timedelta(hours=1), "dag/run")


def test_outcomes_are_found_by_whoever_asks_later(client: Client) -> None:
    Evidence(client, "lab").add([outcome("red"), outcome("red", "K902")])
    Evidence(client, "lab").add([outcome("green"), outcome("red", minutes=1)])
    later = Evidence(client, "lab")
    assert [later.latest("K901", lamp) for lamp in ("red", "green")] == [outcome("red", minutes=1), outcome("green")]
    assert later.latest("K902", "red") == outcome("red", "K902")


def test_a_label_that_somebody_else_set_stays(client: Client) -> None:
    Evidence(client, "lab").add([outcome("red")])
    path = f"{COLLECTION}/evidence-k901"
    client.merge(path, {"metadata": {"labels": {"team": "home"}}})
    Evidence(client, "lab").add([outcome("green")])
    assert client.get(path)["metadata"]["labels"]["team"] == "home"


def test_a_record_that_was_read_before_another_one_was_written_does_not_erase_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server-side apply is forced, so only the resourceVersion can stop it."""
    slow = Evidence(client, "lab")
    slow.add([outcome("red")])
    write = slow._write
    others = iter([[outcome("green")], []])

    def interrupted(check: str, outcomes: list[Outcome], version: str) -> None:
        Evidence(client, "lab").add(next(others))
        write(check, outcomes, version)

    monkeypatch.setattr(slow, "_write", interrupted)
    slow.add([outcome("blue")])
    assert [slow.latest("K901", lamp) for lamp in ("red", "green", "blue")].count(None) == 0


def test_a_journal_keeps_its_entries_in_order(client: Client) -> None:
    run = f"lamps/manual__{datetime.now(UTC).isoformat()}"
    assert RunJournal(client, run).entries() == []
    for what in ("note it", "switch it on", "note it again"):
        RunJournal(client, run).write("switch.red", what)
    assert [entry.what for entry in RunJournal(client, run).entries()] == ["note it", "switch it on", "note it again"]


def test_the_lease_is_held_by_one_run_until_it_has_ended(client: Client) -> None:
    first, second = ChangeLease(client, "a/1"), ChangeLease(client, "b/1")
    first.acquire(lambda run: False)
    first.acquire(lambda run: False)
    with pytest.raises(ChangeInProgress, match="a/1 is changing the cluster"):
        second.acquire(lambda run: False)
    second.acquire(lambda run: run == "a/1")
    with pytest.raises(ChangeInProgress, match="went to b/1; a/1 stops"):
        first.check()
    first.release()
    second.check()
    second.release()
    with pytest.raises(ChangeInProgress, match="went to nobody"):
        second.check()
    first.acquire(lambda run: False)


def test_of_two_runs_that_take_over_at_once_one_wins(client: Client) -> None:
    ChangeLease(client, "ended/1").acquire(lambda run: False)

    def meanwhile(run: str) -> bool:
        ChangeLease(client, "fast/1").acquire(lambda run: True)
        return True

    with pytest.raises(ChangeInProgress, match="at the same moment"):
        ChangeLease(client, "slow/1").acquire(meanwhile)
    ChangeLease(client, "fast/1").check()
