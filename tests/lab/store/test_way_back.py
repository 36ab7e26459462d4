"""The commands of docs/real-cluster.md by which an owner gets back in, with a real store that has lost everything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra_ops.clients.applying import Deployer
from infra_ops.clients.openbao import Denied, OpenBao
from infra_ops.facts import openbao as facts
from infra_ops.models.plans import Plan
from infra_ops.operations.store import secrets
from tests.lab.manifests.chapter import PROJECT, block, run
from tests.lab.store.stage import Stage

KEPT = {"data": {"password": "written before the snapshot"}}


@pytest.fixture
def owner(stage: Stage, deployed: Plan, tmp_path: Path) -> Iterator[Owner]:
    stage.wait_until_it_serves()
    stage.as_administrator()
    (tmp_path / "include").symlink_to(PROJECT / "include")
    yield Owner(stage, tmp_path)
    stage.as_account("platform")


class Owner:
    """A cluster administrator with the chapter open, in a folder of their own."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self.folder = folder

    def paste(self, *scripts: str) -> str:
        return run("\n".join(scripts), self.folder, KUBECONFIG=str(self._stage.cluster.kubeconfig))

    def as_root(self, command: str) -> str:
        return self.paste(block("as_root() {"), f"as_root '{command}'")

    def keep_keys(self, text: str) -> None:
        (self.folder / "recovery-keys").write_text(text)


def caller(stage: Stage, token: str) -> OpenBao:
    """The store as the holder of a token."""
    store = stage.store()
    authority = Deployer().get(facts.AUTHORITY)["data"]["ca.crt"]
    return OpenBao(store.host, authority, token)


def test_the_owner_issues_a_login_from_outside(stage: Stage, owner: Owner) -> None:
    owner.paste(block("role/infra-ops-outside/secret-id"))
    role_id, secret_id = (owner.folder / "outside").read_text().split()
    login = stage.store().write("auth/approle/login", {"role_id": role_id, "secret_id": secret_id})
    outside = caller(stage, login["auth"]["client_token"])
    outside.write("infra/data/svc/outside", KEPT)
    with pytest.raises(Denied):
        outside.write("auth/approle/role/infra-ops-outside/secret-id", {})


def test_a_lost_store_comes_back_from_its_snapshot_and_its_keys_count_again(stage: Stage, owner: Owner) -> None:
    stage.store("credentials").write("infra/data/svc/kept", KEPT)
    stage.store("backups").save_snapshot(owner.folder / "taken.snap")
    owner.paste(block(">recovery-keys"))
    old_keys = (owner.folder / "recovery-keys").read_text()
    seal_key = Deployer().get(f"{facts.CORE}/secrets/openbao-seal")["data"]["key"]
    (owner.folder / "seal-key").write_text(seal_key)

    stage.remove()
    owner.paste(block("base64 -d <seal-key"))
    assert (secrets.read(Deployer(), "openbao-seal") or {}).keys() == {"key"}
    stage.as_account("platform")
    stage.deploy()
    stage.as_administrator()
    assert stage.store("credentials").read("infra/data/svc/kept") is None

    copies = stage.kubelet.root / "claims" / "airflow" / "infra-ops-backups" / "openbao"
    copies.mkdir(parents=True, exist_ok=True)
    shutil.copy(owner.folder / "taken.snap", copies / "20260101T000000Z-0000000000.snap")
    owner.paste(block("infra-ops-copies"))
    owner.paste(block(">recovery-keys"))
    token = owner.as_root('echo "$BAO_TOKEN"').split()[0]
    with pytest.raises(Denied):
        caller(stage, token).read("sys/mounts")  # it ended with its command
    owner.paste(block("as_root() {"), block("snapshot restore -force"))

    stage.wait_until_it_serves()
    found = stage.store("credentials").read("infra/data/svc/kept")
    assert found
    assert found["data"]["data"] == KEPT["data"]
    owner.keep_keys(old_keys)
    owner.paste(block("as_root() {"), "ID=kept", block("kv metadata delete"))
    assert stage.store("credentials").read("infra/data/svc/kept") is None
    Deployer().delete(f"{facts.CORE}/secrets/openbao-recovery")
    stage.as_account("platform")
    assert stage.plan().steps == ()
