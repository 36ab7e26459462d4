"""Real PostgreSQL, OpenBao and API server under every target; the services themselves are those of services.py."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from infra_ops.clients.kubernetes import Cluster as Api
from infra_ops.clients.kv import Kv
from lab import credentials
from lab.layout import Lab
from lab.services import openbao
from tests.conformance import services
from tests.conformance.serving import Clock
from tests.conformance.stage import Stage
from tests.lab.cluster import Cluster
from tests.lab.conftest import cluster as cluster  # the fixtures of the tests of the lab
from tests.lab.rotation.conftest import lab as lab
from tests.lab.rotation.stage import RootVault

SetUp = Callable[[str], AbstractContextManager[Stage]]
KINDS = ("postgres", "flower", "grafana", "pihole", "synology", "airflow")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The doubles' clock, which goes on when a rotation waits."""
    clock = Clock()
    monkeypatch.setattr("infra_ops.operations.rotation.rotation.wait_until", clock.wait_until)
    return clock


@pytest.fixture
def set_up(
    lab: Lab,  # noqa: F811
    cluster: Cluster,  # noqa: F811
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> SetUp:
    """A fresh stage of a kind of target, as often as a test wants one."""

    @contextmanager
    def set_up(kind: str) -> Iterator[Stage]:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        monkeypatch.setenv("VAULT_ADDR", openbao.url(lab))
        monkeypatch.setenv("VAULT_CACERT", str(lab.certs / "ca.crt"))
        monkeypatch.setenv("INFRA_OPS_CACERT", str(lab.certs / "ca.crt"))
        kv = Kv(RootVault(credentials.read(lab.credentials, "openbao_root")), "infra")
        namespace, name, api = cluster.namespace(), f"app{uuid.uuid4().hex[:8]}", Api()
        folder = tmp_path / name
        folder.mkdir()
        with ExitStack() as stack:
            match kind:
                case "postgres":
                    superuser = credentials.read(lab.credentials, "postgres_superuser")
                    service = stack.enter_context(services.postgres(lab.ports.of("postgres"), superuser, name))
                case "flower":
                    service = stack.enter_context(services.flower(api, namespace))
                case "grafana":
                    service = stack.enter_context(services.grafana(folder, clock))
                case "pihole":
                    service = stack.enter_context(services.pihole(folder, clock))
                case "synology":
                    service = stack.enter_context(services.synology(folder, clock, lab.certs / "openbao.crt"))
                case "airflow":
                    service = stack.enter_context(services.airflow())
            stage = Stage(name, service, kv, api, namespace, clock)
            stage.set_up()
            yield stage
            stage.clear()

    return set_up


@pytest.fixture
def stage(request: pytest.FixtureRequest, set_up: SetUp) -> Iterator[Stage]:
    """The stage of the target that the test class names."""
    with set_up(request.param if hasattr(request, "param") else request.cls.kind) as stage:
        yield stage
