"""Real PostgreSQL, OpenBao and API server for rotations; what walks into a crash is in walk.py."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator

import pytest

from infra_ops.clients.kubernetes import Cluster as Api
from infra_ops.clients.kv import Kv
from infra_ops.clients.vault import Vault
from lab import credentials
from lab.layout import Lab
from lab.services import openbao, openbao_setup, postgres
from lab.supervisor.sessions import Ledger
from lab.supervisor.supervisor import Supervisor
from tests.lab.cluster import Cluster
from tests.lab.rotation.stage import RootVault, Stage
from tests.lab.services.stage import furnish


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """PostgreSQL and OpenBao, running for the whole session."""
    lab = furnish(tmp_path_factory.mktemp("rotation"))

    async def finish() -> None:
        await openbao.unseal(lab)
        await asyncio.to_thread(openbao_setup.set_up_store, lab, openbao.client(lab))

    store = dataclasses.replace(openbao.openbao(lab), after=(), finish=finish)
    supervisor = Supervisor(
        [postgres.postgres(lab), store],
        environment=lab.environment(),
        log=lab.log,
        ledger=Ledger(lab.root / "sessions.json"),
        report=print,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(supervisor.start_all(), loop).result(120)
        yield lab
    finally:
        asyncio.run_coroutine_threadsafe(supervisor.stop_all(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)


@pytest.fixture
def stage(lab: Lab, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Stage:
    """A database login of its own for each test, adopted, with one consumer in a namespace of its own."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    monkeypatch.setenv("VAULT_ADDR", openbao.url(lab))
    monkeypatch.setenv("VAULT_CACERT", str(lab.certs / "ca.crt"))
    vault: Vault = RootVault(credentials.read(lab.credentials, "openbao_root"))
    stage = Stage(
        name=f"app{abs(hash(request.node.nodeid)) % 10**8}",
        port=lab.ports.of("postgres"),
        admin=credentials.read(lab.credentials, "postgres_superuser"),
        kv=Kv(vault, "infra"),
        api=Api(),
        namespace=cluster.namespace(),
    )
    stage.set_up()
    return stage
