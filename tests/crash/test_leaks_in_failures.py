"""No failure of a rotation shows a secret, whoever fails in whatever way and quotes what he was asked."""

from __future__ import annotations

import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from infra_ops.clients import retries
from infra_ops.clients.kubernetes import Cluster as Api
from infra_ops.clients.kv import Kv
from infra_ops.models.problems import Problem
from infra_ops.operations.actions import carry_out, take_back
from infra_ops.operations.rotation.due import due
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.passwords import Rules, new_password
from infra_ops.operations.rotation.progress import moving, standing
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.strangers import refuse_strangers
from lab import credentials, kubeconfigs
from lab.layout import Lab
from lab.ports import Ports
from lab.services import openbao
from tests.conformance import services
from tests.conformance.conftest import KINDS
from tests.conformance.stage import Stage
from tests.crash.spoiling import VERIFIER, Spoiler, SpoiltHttp, SpoiltPostgres, printed
from tests.lab.cluster import Cluster
from tests.lab.end_to_end.leaks import Place, forms, hits
from tests.lab.faults.spoiled import spoiling
from tests.lab.rotation.stage import RootVault

CANARY = "Planted&Leak<47>11"
MOST = 2000  # runs; more means that it never ends


@dataclass
class Failing:
    """A stage whose service, store and API server fail, and all that its runs have said."""

    stage: Stage
    spoiler: Spoiler
    kv: Kv
    api: Api
    made: dict[str, str]
    """Every password that the rotated login ever had, or was to have."""
    said: list[Place] = field(default_factory=list)
    unexpected: Counter[str] = field(default_factory=Counter)
    """Exceptions that are no Problem, so faults in the code: how many of each type."""
    searched: bool = False
    runs: int = 0

    @property
    def estate(self) -> Estate:
        return Estate(self.stage.inventory, self.kv, self.api)

    def rotate(self) -> None:
        """All that the tasks of a run do, preflight and verification too."""
        self.spoiler.on = True
        (rotation,) = self._due()
        self._say("preflight", rotation.working())
        if not self.searched:  # it asks for much, and always for the same
            refuse_strangers(self.estate, [rotation])
            self.searched = self.spoiler.chosen is None
        for group in (rotation.introduce, rotation.switch, self._moved(rotation), rotation.retire, rotation.finish):
            carry_out(group(), self.stage.effects(), lambda text: self._say("task log", text))
            self.stage.settle()
        self._say("verify", standing(self.estate, self.stage.id, now=datetime.now(UTC), run="test/1"))

    def take_back(self) -> None:
        """What the task `undo` does, of all that can be taken back."""
        (rotation,) = self._due()
        steps = [action.step.id for action in rotation.switch()]
        before = rotation.switch()[: steps.index(f"{self.stage.id}.promote")]
        carry_out([*rotation.introduce(), *before], self.stage.effects())
        self.stage.settle()
        self.spoiler.on = True
        take_back(rotation.reversible(), self.stage.effects(), lambda text: self._say("task log", text))
        self.stage.settle()

    def until_all_is_met(self, work: Callable[[], None]) -> None:
        """Works again and again, until a run from the start to the end met no fault."""
        for _ in range(MOST):
            self.stage.clock.ahead += 86400
            pending = self.stage.kv.read(f"rotation/pending/{self.stage.id}")
            old = self.stage.stored(pending.credential.base_version if pending else None)
            self.spoiler.secrets["old"] = old.credential.password
            self.spoiler.begin()
            try:
                work()
            except Exception as error:  # of whatever kind: Airflow prints them all
                if self.spoiler.chosen is None:
                    raise
                request, fault = self.spoiler.chosen
                self.said.append((f"{fault.name} at {request}", printed(error)))
                if not isinstance(error, Problem):
                    self.unexpected[type(error).__name__] += 1
            finally:
                self.spoiler.on = False
                self.stage.settle()
            self.runs += 1
            if self.spoiler.chosen is None and pending is None:
                return
        raise AssertionError(f"still new kinds of requests after {MOST} runs: {self.spoiler.met}")

    def _due(self) -> tuple[Rotation, ...]:
        return due(self.estate, [self.stage.id], now=datetime.now(UTC), force=True).rotations

    def _moved(self, rotation: Rotation) -> Callable[[], list[Any]]:
        def look() -> list[Any]:
            self._say("moved", moving(rotation, self.api))
            return []

        return look

    def _say(self, where: str, what: object) -> None:
        self.said.append((where, repr(what).encode()))


@pytest.fixture
def failing(
    stage: Stage, lab: Lab, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Failing]:
    token = yaml.safe_load(cluster.kubeconfig.read_text())["users"][0]["user"].get("token", "")
    if not token:
        pytest.skip("this kubeconfig logs in with a client certificate, which ends at the proxy")
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    admins = {f"admin {number}": each.password for number, each in enumerate(stage.service.others().values())}
    spoiler, made = Spoiler({**admins, "verifier": VERIFIER}), {"first": stage.service.old}

    def remembered(rules: Rules | None = None) -> str:
        """Unlike itself in a URL and in JSON. Without rules it is the probe's junk, and no secret."""
        if rules is None:
            return new_password()
        spoiler.secrets["new"] = made[f"made {len(made)}"] = new_password(rules) + "&<%"
        return spoiler.secrets["new"]

    monkeypatch.setattr("infra_ops.operations.rotation.rotation.new_password", remembered)
    ports = Ports()
    authority = ssl.create_default_context(cafile=lab.certs / "ca.crt")
    api = SpoiltHttp(
        "API server", spoiler, cluster.url, ports.of("api"), trust=ssl.create_default_context(cafile=cluster.ca)
    )
    store = SpoiltHttp("store", spoiler, openbao.url(lab), ports.of("store"), trust=authority)
    service, url = _in_front_of(stage.service, spoiler, ports.of("service"), lab.certs / "openbao.crt", authority)
    stage.service.url = url
    kubeconfigs.write(tmp_path / "kubeconfig", api.url, cluster.ca, token)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("VAULT_ADDR", store.url)
    kv = Kv(RootVault(credentials.read(lab.credentials, "openbao_root")), "infra")
    with spoiling(api, store, service):
        yield Failing(stage, spoiler, kv, Api(), made)


def _in_front_of(
    service: services.Service, spoiler: Spoiler, port: int, certificate: Path, authority: ssl.SSLContext
) -> tuple[SpoiltHttp | SpoiltPostgres, str]:
    """What stands in front of the service, and the service's address through it."""
    if isinstance(service, services.Postgres):
        url = f"{urlsplit(service.url).scheme}://127.0.0.1:{port}"
        return SpoiltPostgres(spoiler, ("127.0.0.1", service.port), port), url
    tls: dict[str, Any] = {}
    if service.url.startswith("https"):
        tls = {"tls": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "trust": authority}
        tls["tls"].load_cert_chain(certificate, certificate.with_suffix(".key"))
    proxy = SpoiltHttp("service", spoiler, service.url, port, **tls)
    return proxy, proxy.url


@pytest.mark.parametrize("stage", KINDS, indirect=True)
def test_no_failure_of_a_rotation_shows_a_secret(failing: Failing, caplog: pytest.LogCaptureFixture) -> None:
    """Each kind of request of a rotation and of its undoing, to the service, the store and the API server, fails in
    each way; what is printed of it holds no password that was, is or shall be, and no administrator's.
    """
    began = time.monotonic()
    caplog.set_level(logging.INFO)  # as Airflow's tasks: what libraries log stands there too
    failing.until_all_is_met(failing.take_back)
    failing.until_all_is_met(failing.rotate)
    failing.said += [("journal", "\n".join(failing.stage.journal.lines).encode()), ("log", caplog.text.encode())]
    kind = failing.stage.service.target["kind"]
    print(
        f"{kind}: {len(failing.spoiler.met)} kinds of requests, {sum(failing.spoiler.met.values())} failures, "
        f"{failing.runs} runs, {len(failing.made)} passwords, {time.monotonic() - began:.0f} s; "
        f"no Problem: {dict(failing.unexpected)}"
    )
    assert {name.partition(":")[0] for name in failing.spoiler.met} == {"service", "store", "API server"}
    assert hits({**failing.spoiler.secrets, **failing.made}, failing.said) == []
    assert failing.stage.accepts(failing.stage.stored().credential)


@pytest.mark.parametrize("form", forms(CANARY))
def test_a_secret_in_an_exception_and_in_what_it_came_from_is_found(form: str) -> None:
    """In its text, in that of its cause and of the one over which it was raised; not where `from None` cuts it off."""
    pattern = sorted(forms(CANARY)[form])[0].decode()
    leaking = ValueError(f"cannot write {pattern}")

    def by_itself() -> None:
        raise leaking

    def with_cause() -> None:
        raise Problem("It failed.") from leaking

    def over() -> None:
        try:
            raise leaking
        except ValueError:
            raise Problem("It failed.")  # noqa: B904

    def cut_off() -> None:
        try:
            raise leaking
        except ValueError:
            raise Problem("It failed.") from None

    for leaks in (by_itself, with_cause, over):
        assert f"canary ({form}) in it" in _found(leaks)
    assert _found(cut_off) == []


def _found(failure: Callable[[], None]) -> list[str]:
    with pytest.raises((ValueError, Problem)) as caught:
        failure()
    return hits({"canary": CANARY}, [("it", printed(caught.value))])
