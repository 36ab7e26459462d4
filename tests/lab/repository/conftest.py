"""A real OpenBao, and a real repository on a server that is a folder."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra_ops.clients.kv import Kv
from infra_ops.clients.vault import Vault
from infra_ops.clients.versions import Versions
from infra_ops.operations.repository import workshop
from lab import credentials
from lab.layout import Lab
from lab.services import openbao, openbao_setup
from lab.supervisor.sessions import Ledger
from lab.supervisor.supervisor import Supervisor
from tests.lab.repository.stage import RootVault, Stage
from tests.lab.services.stage import furnish


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """OpenBao, running for all tests of this folder."""
    lab = furnish(tmp_path_factory.mktemp("repository"))

    async def finish() -> None:
        await openbao.unseal(lab)
        await asyncio.to_thread(openbao_setup.set_up_store, lab, openbao.client(lab))

    store = dataclasses.replace(openbao.openbao(lab), after=(), finish=finish)
    ledger = Ledger(lab.root / "sessions.json")
    supervisor = Supervisor([store], environment=lab.environment(), log=lab.log, ledger=ledger, report=print)
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
def stage(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: dict[str, str]) -> Stage:
    """A repository with this tree, and a mount of its own in which the credentials of its values are adopted."""
    monkeypatch.setenv("VAULT_ADDR", openbao.url(lab))
    monkeypatch.setenv("VAULT_CACERT", str(lab.certs / "ca.crt"))
    token = credentials.read(lab.credentials, "openbao_root")
    monkeypatch.setattr(workshop, "Vault", lambda: RootVault(token))
    vault: Vault = RootVault(token)
    mount = f"m{tmp_path.name.lower().replace('_', '-')[:40]}".rstrip("-")
    vault.client().sys.enable_secrets_engine("kv", path=mount, options={"version": "2"})
    stage = Stage(tmp_path / "origin.git", tmp_path / "work", Kv(vault, mount), Versions(vault, mount), mount, token)
    stage.set_up(tree)
    return stage
