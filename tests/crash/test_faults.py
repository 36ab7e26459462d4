"""Rotations of every target under each kind of fault, at the API server, at the store and at the service."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from infra_ops.clients import kubernetes, retries
from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster as Api
from infra_ops.clients.kv import Kv
from infra_ops.clients.postgres import DatabaseError, Server
from infra_ops.models.problems import Problem
from infra_ops.operations.actions import take_back
from infra_ops.operations.rotation.rotation import Rotation
from lab import credentials, kubeconfigs
from lab.faults.answers import kubernetes as kubernetes_wording
from lab.faults.answers import vault as vault_wording
from lab.faults.http import HttpProxy
from lab.faults.postgres import PostgresProxy
from lab.faults.rules import Kind, Rule, Rules
from lab.layout import Lab
from lab.ports import Ports
from lab.services import openbao
from tests.conformance.conftest import KINDS, SetUp
from tests.conformance.services import Postgres, Service
from tests.conformance.stage import Stage
from tests.lab.cluster import Cluster
from tests.lab.faults.spoiled import spoiling
from tests.lab.rotation.disturbed import Outcome, disturb
from tests.lab.rotation.stage import RootVault

PLACES = ("api server", "store", "service")
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass
class Behind(Stage):
    """The stage as its run sees it, through the proxies; controllers and kubelet work beside them.

    A run that fails takes back what it did, as the runbook does, as long as the fault lets it.
    """

    beside: Stage = field(kw_only=True)
    values: list[str] = field(default_factory=list)
    """Passwords that no sentence may hold."""

    def settle(self) -> None:
        self.beside.settle()

    def carry_out(self, rotation: Rotation, effects: Effects, meanwhile: Callable[[], None]) -> None:
        try:
            super().carry_out(rotation, effects, meanwhile)
        except Problem as problem:
            self.values += self.beside.passwords()
            try:
                if not rotation.is_promoted():
                    take_back(rotation.reversible(), effects)
            except Problem as another:
                raise Problem(f"{problem} {another}") from None
            finally:
                self.settle()
            raise


@dataclass
class Faulty:
    """A stage as its run sees it and as it is, and what goes wrong at each place between the two."""

    run: Behind
    beside: Stage
    rules: dict[str, Rules]

    def under(self, place: str, rule: Rule) -> Outcome:
        return disturb(self.run, self.beside, self.rules[place], rule, secrets=self.secrets)

    def secrets(self) -> list[str]:
        return [*self.run.values, *self.beside.passwords()]


Fresh = Callable[[str], AbstractContextManager[Faulty]]
Table = dict[tuple[str, str, str], dict[str, str]]


@pytest.fixture(scope="module")
def proxies(lab: Lab, cluster: Cluster) -> Iterator[dict[str, HttpProxy]]:
    """In front of API server and store."""
    ports = Ports()
    tls = server_tls(lab.certs / "apiserver.crt")

    def https(name: str, url: str, ca: Path, wording: Any) -> HttpProxy:
        trust = ssl.create_default_context(cafile=ca)
        return HttpProxy(url, ports.of(name), wording=wording, tls=tls, trust=trust)

    found = {
        "api server": https("api", cluster.url, cluster.ca, kubernetes_wording),
        "store": https("store", openbao.url(lab), lab.certs / "ca.crt", vault_wording),
    }
    with spoiling(*found.values()):
        yield found


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def in_front_of(service: Service, lab: Lab) -> tuple[HttpProxy | PostgresProxy, str]:
    """A proxy, and the service's address through it."""
    scheme, port = urlsplit(service.url).scheme, Ports().of("service")
    url = f"{scheme}://127.0.0.1:{port}"
    if isinstance(service, Postgres):
        return PostgresProxy(("127.0.0.1", service.port), port), url
    tls = server_tls(lab.certs / "openbao.crt") if scheme == "https" else None
    trust = ssl.create_default_context(cafile=lab.certs / "ca.crt") if tls else None
    return HttpProxy(service.url, port, tls=tls, trust=trust), url


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    """Filled by the tests, printed at their end (pytest -s): kind of target, fault, how often -> outcome and hits."""
    rows: Table = {}
    yield rows
    for (target, kind, often), row in rows.items():
        print(f"\n{target:9}{kind:9} {often:7}", *(f"{place}: {row.get(place, '-'):18}" for place in PLACES), end="")
    print()


@pytest.fixture
def fresh(
    set_up: SetUp,
    lab: Lab,
    cluster: Cluster,
    proxies: dict[str, HttpProxy],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Fresh:
    """A fresh stage of a kind of target. The clients of its run go through the proxies, with short pauses and small
    pages.
    """
    monkeypatch.setattr(retries, "PAUSE", 0.02)
    monkeypatch.setattr(kubernetes, "PAGE", 1)
    kubeconfigs.write(tmp_path / "kubeconfig", proxies["api server"].url, lab.certs / "ca.crt", _token(cluster))
    rules = {place: proxy.rules for place, proxy in proxies.items()}

    @contextmanager
    def fresh(target: str) -> Iterator[Faulty]:
        with set_up(target) as stage:
            for name in ("one", "two"):  # more than go on a page
                item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
                stage.api.create(f"/api/v1/namespaces/{stage.namespace}/configmaps", item)
            monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
            monkeypatch.setenv("VAULT_ADDR", proxies["store"].url)
            kv = Kv(RootVault(credentials.read(lab.credentials, "openbao_root")), "infra")
            proxy, url = in_front_of(stage.service, lab)
            run = Behind(stage.id, stage.service.at(url), kv, Api(), stage.namespace, stage.clock, beside=stage)
            with spoiling(proxy):
                yield Faulty(run, stage, {**rules, "service": proxy.rules})

    return fresh


def _token(cluster: Cluster) -> str:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    token: str = config["users"][0]["user"].get("token", "")
    if not token:
        pytest.skip("this kubeconfig logs in with a client certificate, which ends at the proxy")
    return token


# Which requests a fault hits at API server and store, where that is not every one. A rotation watches nothing, so a cut
# answer is any read.
HITS: dict[tuple[str, Kind], dict[str, Any]] = {
    ("api server", Kind.CONFLICT): {"methods": WRITES},
    ("api server", Kind.LOST): {"methods": WRITES},
    ("api server", Kind.EXPIRED): {"path": "continue="},
    ("store", Kind.CONFLICT): {"methods": {"POST"}},
    ("store", Kind.LOST): {"methods": WRITES},
}
# What a rotation bears by itself. Nothing helps against a fault that stays, but for a slow server and for answers that
# are lost where the next look shows what was done; a note in the store is written again until an answer comes.
BORNE = {
    ("api server", "once"): set(Kind) - {Kind.LOCKED},
    ("api server", "always"): {Kind.SLOW, Kind.LOST},
    ("store", "once"): set(Kind) - {Kind.LOCKED, Kind.EXPIRED},
    ("store", "always"): {Kind.SLOW},
}
# A password is set by the second effect of its step, the first notes that it begins: so it is not tried again, and only
# what was carried out is borne.
_SWAP = {"once": {Kind.SLOW, Kind.CUT, Kind.LOST}, "always": {Kind.SLOW, Kind.LOST}}
BORNE_AT_SERVICE = {
    # a transaction is one effect, so it is tried again; a login is not
    "postgres": {"once": set(Kind) - {Kind.LOCKED}, "always": {Kind.SLOW, Kind.LOST}},
    # asked for the proof's logins only, none of which is repeated
    "flower": {"once": {Kind.SLOW}, "always": {Kind.SLOW}},
    "pihole": _SWAP,
    # what follows the request that sets the password cannot be told from it and is hit too; so is that by which Grafana
    # forgets wrong logins
    "grafana": _SWAP | {"always": {Kind.SLOW}},
    "synology": _SWAP | {"always": {Kind.SLOW}},
    "airflow": _SWAP,
}


def fault(service: Service, place: str, kind: Kind, often: str) -> Rule:
    """At the service a single fault hits where it tells most: the request that sets the password."""
    if place == "service":
        hits = service.setting if often == "once" or kind in (Kind.CONFLICT, Kind.LOST) else {}
        if kind is Kind.LOCKED:
            hits = {**hits, **service.lock_out}
    else:
        hits = HITS.get((place, kind), {"skip": 2 if often == "once" else 0})
    settings = {"times": 1, "seconds": 0.5} if often == "once" else {"seconds": 0.02}
    return Rule(kind=kind, **hits, **settings)


@pytest.mark.parametrize("often", ["once", "always"])
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("target", KINDS)
def test_it_is_borne_or_fails_cleanly_and_a_second_run_ends_the_same(
    fresh: Fresh, table: Table, target: str, place: str, kind: Kind, often: str
) -> None:
    with fresh(target) as faulty:
        outcome = faulty.under(place, fault(faulty.beside.service, place, kind, often))
        table.setdefault((target, kind, often), {})[place] = f"{outcome} ({outcome.hits})"
        assert outcome.hits >= 1
        assert outcome.end == faulty.beside.undisturbed
    borne = BORNE_AT_SERVICE[target][often] if place == "service" else BORNE[place, often]
    assert (outcome.sentence == "") == (kind in borne), outcome.sentence


def walked(fresh: Fresh, target: str, place: str, rule: Callable[[Service, int], Rule]) -> list[Outcome]:
    """A rotation for each number for which the rule still hits something; each ends as an undisturbed one."""
    outcomes: list[Outcome] = []
    while True:
        with fresh(target) as faulty:
            outcome = faulty.under(place, rule(faulty.beside.service, len(outcomes)))
            assert outcome.end == faulty.beside.undisturbed, outcome
        if not outcome.hits:
            return outcomes
        outcomes.append(outcome)


# A Secret and its reader, and twice Flower's own Secret and workload. In the store: stage, promote, the proof's two
# notes and close, and where a service knows one password the note that it is being set.
WRITTEN = {
    "api server": dict.fromkeys(KINDS, 2) | {"flower": 6},
    "store": dict.fromkeys(KINDS, 6) | {"postgres": 5, "flower": 5},
}


@pytest.mark.parametrize("place", WRITTEN)
@pytest.mark.parametrize("target", KINDS)
def test_a_lost_answer_to_any_write_is_borne(fresh: Fresh, target: str, place: str) -> None:
    def lost(_: Service, number: int) -> Rule:
        return Rule(kind=Kind.LOST, methods=WRITES, skip=number, times=1)

    outcomes = walked(fresh, target, place, lost)
    expected = ["borne"] * WRITTEN[place][target]
    if (place, target) == ("store", "grafana"):
        expected[3] = "second run"  # of the proof's step it is the second effect: Grafana has forgotten wrong logins
    assert [str(outcome) for outcome in outcomes] == expected


def test_a_lost_answer_to_any_transaction_of_postgres_is_borne(fresh: Fresh) -> None:
    def lost(service: Service, number: int) -> Rule:
        return Rule(kind=Kind.LOST, skip=number, times=1, **service.setting)

    outcomes = walked(fresh, "postgres", "service", lost)
    assert [str(outcome) for outcome in outcomes] == ["borne"] * 3  # roles, set, retire


# By its number in an undisturbed rotation: each request after whose lost answer no second run is needed. It sets the
# password or, with DSM, belongs to the effect that does or to the one that stores the new value; with Grafana two have
# it forget wrong logins.
SEEN_TO_BE_DONE = {"flower": [], "grafana": [2, 4, 5], "pihole": [4], "synology": [3, 4, 5, 10, 11], "airflow": [4]}


@pytest.mark.parametrize("target", SEEN_TO_BE_DONE)
def test_a_lost_answer_of_a_service_may_need_a_second_run(fresh: Fresh, target: str) -> None:
    """Logins are not repeated: most services count them."""

    def lost(_: Service, number: int) -> Rule:
        return Rule(kind=Kind.LOST, skip=number, times=1)

    outcomes = walked(fresh, target, "service", lost)
    assert [number for number, outcome in enumerate(outcomes) if not outcome.sentence] == SEEN_TO_BE_DONE[target]


@pytest.mark.parametrize("target", SEEN_TO_BE_DONE)
def test_a_lock_out_may_begin_at_any_request(fresh: Fresh, target: str) -> None:
    """It lasts until the run has taken back what it did. Where it looks like a wrong password nobody must conclude from
    it that the new one was never set. It passes for no refusal of a wrong login: the right one comes last. Only what
    Pi-hole is asked after that, to end the session, may fail.
    """

    def locked(service: Service, number: int) -> Rule:
        return Rule(kind=Kind.LOCKED, skip=number, **service.lock_out)

    outcomes = walked(fresh, target, "service", locked)
    expected = ["second run"] * (len(outcomes) - 1) + ["borne" if target == "pihole" else "second run"]
    assert [str(outcome) for outcome in outcomes] == expected


@pytest.mark.parametrize(("kind", "there"), [(Kind.LOST, True), (Kind.CUT, True), (Kind.DOWN, False)])
def test_the_proxy_knows_where_a_transaction_ends(fresh: Fresh, kind: Kind, there: bool) -> None:
    with fresh("postgres") as faulty:
        through, beside = server(faulty.run), server(faulty.beside)
        with (
            faulty.rules["service"].on(Rule(kind=kind, methods=frozenset({"QUERY"}), path="^COMMIT", times=1)) as rule,
            pytest.raises(DatabaseError),
        ):
            through.execute([f"create role {faulty.run.id}_x"])
        found = beside.query("select from pg_roles where rolname = $1", f"{faulty.run.id}_x")
        assert (rule.hits, bool(found)) == (1, there)


def test_a_login_is_told_from_a_statement(fresh: Fresh) -> None:
    with fresh("postgres") as faulty:
        name = faulty.run.service.username
        with faulty.rules["service"].on(Rule(kind=Kind.LOCKED, path=f"^{name}@{name}$")) as rule:
            assert faulty.run.log_in(faulty.run.stored().credential) == "refused 28000"
            assert server(faulty.run).query("select 1 as one") == [{"one": 1}]
        assert rule.hits == 1


def server(stage: Stage) -> Server:
    assert isinstance(stage.service, Postgres)
    return stage.service.server
