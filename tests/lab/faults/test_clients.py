"""What the product's clients bear: the API server's and the store's, with a fault in between."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra_ops.clients import kubernetes, retries
from infra_ops.clients.evidence import Evidence
from infra_ops.clients.kubernetes import Cluster as Client
from infra_ops.clients.kubernetes import ClusterError
from infra_ops.clients.kv import Kv
from infra_ops.clients.lease import COLLECTION, NAME, ChangeInProgress, ChangeLease
from infra_ops.clients.vault import StoreError, Vault
from infra_ops.models.credentials import Credential
from infra_ops.models.outcomes import Outcome, State
from lab import kubeconfigs
from lab.faults.answers import kubernetes as kubernetes_wording
from lab.faults.answers import vault as vault_wording
from lab.faults.http import HttpProxy
from lab.faults.rules import Kind, Rule, Rules
from lab.ports import Ports
from tests.lab.cluster import Cluster
from tests.lab.faults.spoiled import spoiling
from tests.lab.servers import ADMIN, ApiServer
from tests.unit.infra_ops.web import serve

LEASE = f"{COLLECTION}/{NAME}"
READS = [Kind.BUSY, Kind.ERROR, Kind.CUT, Kind.LOST, Kind.DOWN]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server of the lab's own: with another one the tests would differ in nothing but its certificate."""
    with ApiServer(tmp_path_factory.mktemp("faults")) as server:
        yield server


@pytest.fixture
def rules(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rules]:
    """Of a proxy in front of the server, to which KUBECONFIG leads."""
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    monkeypatch.setattr(kubernetes, "PAGE", 2)
    proxy = HttpProxy(server.url, Ports().of("proxy"), wording=kubernetes_wording, trust=_trust(server.ca))
    kubeconfigs.write(tmp_path / "kubeconfig", proxy.url, server.ca, server.tokens[ADMIN])
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with spoiling(proxy):
        yield proxy.rules


@pytest.fixture
def namespace(server: ApiServer) -> str:
    """A fresh one with five ConfigMaps and no Lease or evidence in `infra-ops`."""
    server.request("POST", "/api/v1/namespaces", json=_object("Namespace", "infra-ops"))
    for record in (LEASE, "/api/v1/namespaces/infra-ops/configmaps/evidence-k901"):
        server.request("DELETE", record)
    name = Cluster(server.kubeconfig, server.url, server.ca, real=False).namespace()
    for number in range(5):
        body = _object("ConfigMap", f"c{number}")
        assert server.request("POST", f"/api/v1/namespaces/{name}/configmaps", json=body).status_code == 201
    return name


def _trust(authority: Path) -> Any:
    return ssl.create_default_context(cafile=authority)


def _object(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


@pytest.mark.parametrize("kind", READS)
def test_a_read_is_asked_again(rules: Rules, namespace: str, kind: Kind) -> None:
    with rules.on(Rule(kind=kind, times=2, seconds=0)) as rule:
        assert Client().get(f"/api/v1/namespaces/{namespace}")["metadata"]["name"] == namespace
    assert rule.hits == 2


@pytest.mark.parametrize("kind", READS)
def test_but_not_for_ever(rules: Rules, namespace: str, kind: Kind) -> None:
    with rules.on(Rule(kind=kind, seconds=0)) as rule, pytest.raises(ClusterError) as caught:
        Client().get(f"/api/v1/namespaces/{namespace}")
    assert 3 <= rule.hits <= 6
    assert caught.value.status == {Kind.BUSY: 429, Kind.ERROR: 500}.get(kind, 0)


@pytest.mark.parametrize(("kind", "there"), [(Kind.ERROR, False), (Kind.DOWN, False), (Kind.LOST, True)])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_write_is_not_repeated(
    server: ApiServer, rules: Rules, namespace: str, method: str, kind: Kind, there: bool
) -> None:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    body = _object("ConfigMap", "c0") | {"data": {"a": "b"}}
    client = Client()
    writes = {
        "POST": lambda: client.create(collection, _object("ConfigMap", "new")),
        "PUT": lambda: client.replace(f"{collection}/c0", body),
        "PATCH": lambda: client.merge(f"{collection}/c0", {"data": {"a": "b"}}),
        "DELETE": lambda: client.delete(f"{collection}/c0"),
    }
    before = server.request("GET", collection).json()["items"]
    with rules.on(Rule(kind=kind, times=1)) as rule, pytest.raises(ClusterError) as caught:
        writes[method]()
    assert (rule.hits, caught.value.is_open) == (1, True)
    assert (server.request("GET", collection).json()["items"] != before) is there


def test_a_write_that_was_put_off_is_repeated_when_the_server_says(rules: Rules, namespace: str) -> None:
    begun = time.monotonic()
    with rules.on(Rule(kind=Kind.BUSY, times=1, seconds=1)):
        Client().create(f"/api/v1/namespaces/{namespace}/configmaps", _object("ConfigMap", "new"))
    assert time.monotonic() - begun >= 1


def test_nobody_waits_for_an_hour(rules: Rules, namespace: str) -> None:
    with rules.on(Rule(kind=Kind.BUSY, seconds=3600)) as rule, pytest.raises(ClusterError, match="429"):
        Client().get(f"/api/v1/namespaces/{namespace}")
    assert rule.hits == 1


@pytest.mark.parametrize("skip", [0, 1])
def test_a_list_whose_token_expired_begins_anew_and_yields_nothing_twice(
    rules: Rules, namespace: str, skip: int
) -> None:
    with rules.on(Rule(kind=Kind.EXPIRED, path="continue=", skip=skip, times=1)) as rule:
        names = [one["metadata"]["name"] for one in Client().list(f"/api/v1/namespaces/{namespace}/configmaps")]
    assert rule.hits == 1
    assert [name for name in names if name.startswith("c")] == ["c0", "c1", "c2", "c3", "c4"]


def test_a_list_that_never_ends_gives_up(rules: Rules, namespace: str) -> None:
    with rules.on(Rule(kind=Kind.EXPIRED, path="continue=")) as rule, pytest.raises(ClusterError, match="410"):
        list(Client().list(f"/api/v1/namespaces/{namespace}/configmaps"))
    assert rule.hits == kubernetes.LISTS


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("kind", [Kind.LOST, Kind.CONFLICT, Kind.ERROR, Kind.DOWN])
def test_the_lease_is_taken_and_given_back_all_the_same(rules: Rules, kind: Kind) -> None:
    lease = ChangeLease(Client(), "a/1")
    writes = frozenset({"POST", "PUT"})
    with rules.on(Rule(kind=kind, methods=writes, times=1)) as rule:
        lease.acquire(lambda run: False)
    assert rule.hits == 1
    lease.check()
    with rules.on(Rule(kind=kind, methods=writes, times=1)) as rule:
        lease.release()
    assert rule.hits == 1
    with pytest.raises(ChangeInProgress, match="went to nobody"):
        lease.check()
    with rules.on(Rule(kind=kind, methods=writes, times=1)):
        lease.acquire(lambda run: False)  # now it replaces
    lease.check()


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("kind", [Kind.LOST, Kind.CONFLICT, Kind.ERROR, Kind.DOWN])
def test_evidence_is_kept_all_the_same(rules: Rules, kind: Kind) -> None:
    evidence = Evidence(Client(), "lab")
    at = datetime.now(UTC)
    for minute, state in enumerate((State.FAIL, State.PASS)):  # the first creates, the second applies
        outcome = Outcome(
            "K901", "lamp", state, "on", "on", "", at + timedelta(minutes=minute), timedelta(hours=1), "a/1"
        )
        with rules.on(Rule(kind=kind, methods=frozenset({"POST", "PATCH"}), times=1)) as rule:
            evidence.add([outcome])
        assert rule.hits == 1
        assert evidence.latest("K901", "lamp") == outcome


STORED = {
    "data": {
        "data": {"username": "u", "password": "invented"},
        "metadata": {"version": 1, "created_time": "2026-01-01T00:00:00Z"},
    }
}
ANSWERS = {
    "/v1/auth/approle/login": (200, {"auth": {"client_token": "invented-token"}}),
    "/v1/infra/data/svc/a": (200, STORED),
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Rules, list[tuple[str, str]]]]:
    """A store that answers as it should, behind a proxy, and what it was asked."""
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    for name in ("role_id", "secret_id"):
        (tmp_path / name).write_text("invented-secret")
        monkeypatch.setenv(f"VAULT_{name.upper()}_FILE", str(tmp_path / name))
    seen: list[tuple[str, str]] = []
    with serve(ANSWERS, seen) as upstream:
        proxy = HttpProxy(upstream, Ports().of("proxy"), wording=vault_wording)
        monkeypatch.setenv("VAULT_ADDR", proxy.url)
        with spoiling(proxy):
            yield proxy.rules, seen


SEALED = {"status": 503, "body": '{"errors": ["Vault is sealed"]}'}
NOW_AND_THEN = [{"kind": kind} for kind in READS] + [
    {"kind": Kind.LOCKED, **SEALED},
    {"kind": Kind.LOCKED, "status": 473},
]


@pytest.mark.parametrize("path", ["login", "data"])
@pytest.mark.parametrize("fault", NOW_AND_THEN, ids=lambda fault: f"{fault['kind']}{fault.get('status', '')}")
def test_the_store_is_asked_again(store: tuple[Rules, list[tuple[str, str]]], fault: dict[str, Any], path: str) -> None:
    with store[0].on(Rule(**fault, path=path, times=2, seconds=0)) as rule:
        stored = Kv(Vault(), "infra").read("svc/a")
    assert stored is not None
    assert (rule.hits, stored.version) == (2, 1)


@pytest.mark.parametrize("kind", [Kind.ERROR, Kind.LOST, Kind.DOWN, Kind.CUT])
def test_a_write_to_the_store_is_not_repeated(store: tuple[Rules, list[tuple[str, str]]], kind: Kind) -> None:
    rules, seen = store
    kv = Kv(Vault(), "infra")
    kv.read("svc/a")
    seen.clear()
    with rules.on(Rule(kind=kind)) as rule, pytest.raises(StoreError) as caught:
        kv.write("svc/a", Credential("u", "invented-password", "a:2", 1), replaces=1)
    assert (rule.hits, len(seen)) == (1, int(kind in (Kind.LOST, Kind.CUT)))
    assert "invented" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (SEALED, "refused, it is sealed or not ready: Vault is sealed"),
        ({"status": 473, "body": "{}"}, "refused, it is a standby: UnexpectedError"),
        ({"status": 472, "body": "{}"}, "refused, it is a recovery standby: UnexpectedError"),
    ],
)
def test_a_store_that_does_not_serve_is_told(
    store: tuple[Rules, list[tuple[str, str]]], fault: dict[str, Any], words: str
) -> None:
    with store[0].on(Rule(kind=Kind.LOCKED, path="data", **fault)), pytest.raises(StoreError, match=words):
        Kv(Vault(), "infra").read("svc/a")
