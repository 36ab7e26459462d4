"""Three K3s servers, a machine off the cluster and a real OpenBao."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra_ops.clients.kv import Kv
from infra_ops.operations.encryption.proof import NAMESPACE
from lab import K3S_VERSION, credentials
from lab.layout import Lab
from lab.services import openbao
from tests.lab.encryption.managed import MANAGES, Managed
from tests.lab.encryption.stage import Stage
from tests.lab.rotation.conftest import lab as lab
from tests.lab.rotation.stage import RootVault
from tests.lab.servers_of_k3s import running


@pytest.fixture
def stage(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:  # noqa: F811
    """A fresh cluster, plain, with no key in the store."""
    with staged(lab, tmp_path, monkeypatch, K3S_VERSION) as stage:
        yield stage


@pytest.fixture
def managed(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Managed]:  # noqa: F811
    """The same with a version of K3s whose own tool does it well."""
    with staged(lab, tmp_path, monkeypatch, MANAGES) as stage:
        yield Managed(stage)


@contextlib.contextmanager
def staged(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> Iterator[Stage]:  # noqa: F811
    folder = tmp_path / "k3s"
    folder.mkdir()
    with running(folder, version) as k3s:
        monkeypatch.setenv("KUBECONFIG", str(k3s.kubeconfig))
        monkeypatch.setenv("INFRA_OPS_SSH", str(k3s.ssh_folder))
        monkeypatch.setenv("VAULT_ADDR", openbao.url(lab))
        monkeypatch.setenv("VAULT_CACERT", str(lab.certs / "ca.crt"))
        vault = RootVault(credentials.read(lab.credentials, "openbao_root"))
        monkeypatch.setattr("infra_ops.operations.encryption.estate.Vault", lambda: vault)
        kv = Kv(vault, "infra")
        kv.delete("k3s/secrets_encryption")
        for name in ("infra-ops", NAMESPACE):
            k3s.rest().create("/api/v1/namespaces", {"metadata": {"name": name}})
        yield Stage(k3s, kv)
