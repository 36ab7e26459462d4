"""PostgreSQL's rotation under each kind of fault, at the API server, at the store and at the service."""

from __future__ import annotations

import base64
import dataclasses
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra_ops.clients import kubernetes, retries
from infra_ops.clients.kubernetes import Cluster as Api
from infra_ops.clients.kv import Kv
from infra_ops.clients.postgres import DatabaseError
from lab import credentials, kubeconfigs
from lab.faults.answers import kubernetes as kubernetes_wording
from lab.faults.answers import vault as vault_wording
from lab.faults.http import HttpProxy
from lab.faults.postgres import PostgresProxy
from lab.faults.rules import Kind, Rule, Rules
from lab.layout import Lab
from lab.ports import Ports
from lab.services import openbao
from tests.lab.cluster import Cluster
from tests.lab.faults.spoiled import spoiling
from tests.lab.rotation.disturbed import Outcome, disturb
from tests.lab.rotation.stage import OLD_PASSWORD, RootVault, Stage
from tests.lab.rotation.test_postgres_rotation import UNDISTURBED

PLACES = ("api server", "store", "service")
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Which requests each fault hits, where that is not every one. A rotation watches nothing, so a cut answer is any read.
HITS: dict[tuple[str, Kind], dict[str, Any]] = {
    ("api server", Kind.CONFLICT): {"methods": WRITES},
    ("api server", Kind.LOST): {"methods": WRITES},
    ("api server", Kind.EXPIRED): {"path": "continue="},
    ("store", Kind.CONFLICT): {"methods": {"POST"}},
    ("store", Kind.LOST): {"methods": WRITES},
    ("service", Kind.CONFLICT): {"methods": {"QUERY"}, "path": "(?i)^(alter|commit)"},
    ("service", Kind.LOST): {"methods": {"QUERY"}, "path": "(?i)^commit"},
}
Table = dict[tuple[str, str], dict[str, str]]
# What the clients bear by themselves. Nothing helps against a fault that stays, but for a slow server and lost answers:
# whoever looks again sees that it is done.
BORNE = {(place, "always"): {Kind.SLOW, Kind.LOST} for place in PLACES} | {
    ("api server", "once"): set(Kind) - {Kind.LOCKED},
    ("store", "once"): set(Kind) - {Kind.LOCKED, Kind.EXPIRED},
    ("service", "once"): {Kind.CONFLICT, Kind.SLOW, Kind.LOST},
}
# Writes of one rotation at each place: a Secret; stage, promote, note and close; roles, owner in two databases, set and
# retire.
COUNT = {"api server": 1, "store": 4, "service": 5}


@dataclass
class Faulty:
    """The stage as its run sees it through the proxies, and as it is."""

    run: Stage
    beside: Stage
    rules: dict[str, Rules]

    def under(self, place: str, rule: Rule) -> Outcome:
        return disturb(self.run, self.beside, self.rules[place], rule, secrets=self.secrets)

    def secrets(self) -> list[str]:
        return [item.credential.password for n in (1, 2) if (item := self.beside.kv.read(f"svc/{self.run.name}", n))]


@pytest.fixture(scope="module")
def proxies(lab: Lab, cluster: Cluster) -> Iterator[dict[str, HttpProxy | PostgresProxy]]:
    """One in front of each server."""
    ports = Ports()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(lab.certs / "apiserver.crt", lab.certs / "apiserver.key")

    def https(name: str, url: str, ca: Path, wording: Any) -> HttpProxy:
        trust = ssl.create_default_context(cafile=ca)
        return HttpProxy(url, ports.of(name), wording=wording, tls=tls, trust=trust)

    found: dict[str, HttpProxy | PostgresProxy] = {
        "api server": https("api", cluster.url, cluster.ca, kubernetes_wording),
        "store": https("store", openbao.url(lab), lab.certs / "ca.crt", vault_wording),
        "service": PostgresProxy(("127.0.0.1", lab.ports.of("postgres")), ports.of("service")),
    }
    with spoiling(*found.values()):
        yield found


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    """Filled by the tests, printed at their end (pytest -s): kind x place -> outcome and hits."""
    rows: Table = {}
    yield rows
    for (kind, often), row in rows.items():
        print(f"\n{kind:9} {often:9}", *(f"{place}: {row.get(place, '-'):24}" for place in PLACES), end="")
    print()


@pytest.fixture
def faulty(
    stage: Stage,
    lab: Lab,
    cluster: Cluster,
    proxies: dict[str, HttpProxy | PostgresProxy],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Faulty:
    """The clients of the run go through the proxies, with short pauses and small pages."""
    monkeypatch.setattr(retries, "PAUSE", 0.02)
    monkeypatch.setattr(kubernetes, "PAGE", 1)
    api, store, service = (proxies[place] for place in PLACES)
    assert isinstance(api, HttpProxy)
    assert isinstance(store, HttpProxy)
    assert isinstance(service, PostgresProxy)
    kubeconfigs.write(tmp_path / "kubeconfig", api.url, lab.certs / "ca.crt", _token(cluster))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("VAULT_ADDR", store.url)
    vault = RootVault(credentials.read(lab.credentials, "openbao_root"))
    run = dataclasses.replace(stage, port=service.port, kv=Kv(vault, "infra"), api=Api())
    _furnish(run, stage.port)
    return Faulty(run, stage, {place: proxy.rules for place, proxy in proxies.items()})


def _token(cluster: Cluster) -> str:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    token: str = config["users"][0]["user"].get("token", "")
    if not token:
        pytest.skip("this kubeconfig logs in with a client certificate, which ends at the proxy")
    return token


def _furnish(run: Stage, port: int) -> None:
    """The consumer connects through the proxy, too, and the namespace has more workloads than go on a page."""
    secret = f"/api/v1/namespaces/{run.namespace}/secrets/database"
    url = base64.b64decode(run.api.get(secret)["data"]["URL"]).decode().replace(f":{port}/", f":{run.port}/")
    run.api.merge(secret, {"stringData": {"URL": url}})
    for name in ("one", "two", "three"):
        labels = {"app": name}
        container = {"name": name, "image": "rancher/mirrored-pause:3.6"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        }
        run.api.create(f"/apis/apps/v1/namespaces/{run.namespace}/deployments", body)


@pytest.mark.parametrize("often", ["once", "always"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", list(Kind))
def test_it_is_borne_or_fails_cleanly_and_a_second_run_ends_the_same(
    faulty: Faulty, table: Table, kind: Kind, place: str, often: str
) -> None:
    hits = HITS.get((place, kind), {"skip": 2 if often == "once" else 0})
    settings = {"times": 1, "seconds": 0.5} if often == "once" else {"seconds": 0.02}
    outcome = faulty.under(place, Rule(kind=kind, **hits, **settings))
    assert outcome.hits >= 1
    assert outcome.end == UNDISTURBED
    assert (outcome.sentence == "") == (kind in BORNE[place, often]), outcome.sentence
    table.setdefault((kind, often), {})[place] = f"{outcome} ({outcome.hits})"


@pytest.mark.parametrize(("place", "number"), [(place, n) for place in PLACES for n in range(COUNT[place])])
def test_a_lost_answer_to_any_write_is_borne(faulty: Faulty, place: str, number: int) -> None:
    outcome = faulty.under(place, Rule(kind=Kind.LOST, skip=number, times=1, **HITS[place, Kind.LOST]))
    assert (outcome.hits, outcome.sentence, outcome.end) == (1, "", UNDISTURBED)


@pytest.mark.parametrize("place", PLACES)
def test_the_walk_over_lost_answers_leaves_no_write_out(faulty: Faulty, place: str) -> None:
    with faulty.rules[place].on(Rule(kind=Kind.SLOW, seconds=0, **HITS[place, Kind.LOST])) as rule:
        faulty.run.rotate()
    assert rule.hits == COUNT[place]


@pytest.mark.parametrize(("kind", "there"), [(Kind.LOST, True), (Kind.CUT, True), (Kind.DOWN, False)])
def test_the_proxy_knows_where_a_transaction_ends(faulty: Faulty, kind: Kind, there: bool) -> None:
    with (
        faulty.rules["service"].on(Rule(kind=kind, methods=frozenset({"QUERY"}), path="^COMMIT", times=1)) as rule,
        pytest.raises(DatabaseError),
    ):
        faulty.run.server.execute([f"create role {faulty.run.name}_x"])
    found = faulty.beside.server.query("select from pg_roles where rolname = $1", f"{faulty.run.name}_x")
    assert (rule.hits, bool(found)) == (1, there)


def test_a_login_is_told_from_a_statement(faulty: Faulty) -> None:
    with faulty.rules["service"].on(Rule(kind=Kind.LOCKED, path=f"^{faulty.run.name}@{faulty.run.name}$")) as rule:
        assert faulty.run.target.log_in(faulty.run.name, OLD_PASSWORD).code == "28000"
        assert faulty.run.server.query("select 1 as one") == [{"one": 1}]
    assert rule.hits == 1
