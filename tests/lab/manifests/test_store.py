"""The policies and roles of the store, on a real OpenBao that the chapter's commands have prepared."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import hvac
import pytest
import requests
from airflow.providers.hashicorp.secrets.vault import VaultBackend
from hvac.exceptions import VaultError

from infra_ops.clients.effects import Effects
from infra_ops.clients.kv import Kv, SomebodyWasFaster
from infra_ops.clients.vault import StoreError, Vault
from infra_ops.facts.connections import connections
from infra_ops.models.connections import FOLDER
from infra_ops.models.credentials import Credential, Stored
from infra_ops.operations.actions import carry_out
from infra_ops.operations.rotation.connections import sync_connection
from infra_ops.operations.rotation.targets.target import Change
from lab.ports import Ports
from lab.services.openbao_setup import APP_ROLES
from tests.lab.manifests.chapter import PROJECT, block, run
from tests.lab.rotation.stage import Pages

ROLES = PROJECT / "include" / "manifests" / "infra-ops" / "openbao" / "roles"
ADOPTED = Credential("appuser", "adopted")
Store = Callable[..., Kv]


class Holder:
    """What Kv needs of a Vault, with a token in place of a pod's login."""

    def __init__(self, client: hvac.Client) -> None:
        self._client = client

    def client(self) -> hvac.Client:
        return self._client

    def explain(self, error: Exception, *sent: str) -> str:
        return ", ".join(getattr(error, "errors", None) or [str(error)])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hvac.Client]:
    """OpenBao in memory, after both blocks of step 3."""
    folder, token = tmp_path_factory.mktemp("openbao"), secrets.token_hex(16)
    url = f"http://127.0.0.1:{Ports().of('openbao')}"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "BAO_DEV_ROOT_TOKEN_ID": token}
    command = [
        Path(sys.executable).parent / "bao",
        "server",
        "-dev",
        "-dev-listen-address",
        url.removeprefix("http://"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait(url, process)
        for words in ("bao secrets enable", "bao policy write"):
            run(block(words), PROJECT, BAO_ADDR=url, BAO_TOKEN=token)
        yield hvac.Client(url=url, token=token)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "OpenBao died"
        assert time.monotonic() < deadline, "OpenBao did not get ready"
        try:
            if requests.get(f"{url}/v1/sys/health", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            pass  # it does not listen yet
        time.sleep(0.1)


@pytest.fixture
def store(root: hvac.Client) -> Store:
    """The credentials as somebody with just these policies sees them."""

    def see(*policies: str) -> Kv:
        token = root.auth.token.create(policies=policies, no_parent=True)["auth"]["client_token"]
        return Kv(cast(Vault, Holder(hvac.Client(url=root.url, token=token))), "infra")

    return see


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(StoreError, match="permission denied"):
        call()


def test_the_rotating_identity_does_a_whole_rotation(store: Store) -> None:
    kv = store("infra-ops-credentials")
    new = Credential("appuser_b", "new", "rotated:2", 1)
    assert kv.write("svc/rotated", ADOPTED, replaces=0) == 1
    assert kv.write("rotation/pending/rotated", new, replaces=0) == 1
    assert kv.write("svc/rotated", new, replaces=1) == 2
    kv.note("svc/rotated", {"old_refused": "yes"})
    assert kv.notes("svc/rotated") == {"old_refused": "yes"}
    kv.delete("rotation/pending/rotated")
    assert kv.read("rotation/pending/rotated") is None
    assert kv.read("svc/rotated", version=1)


def test_the_rotating_identity_cannot_lose_a_credential(store: Store) -> None:
    kv = store("infra-ops-credentials")
    kv.write("svc/kept", ADOPTED, replaces=0)
    refused(lambda: kv.delete("svc/kept"))


@pytest.mark.parametrize("policies", [("infra-ops-credentials",), APP_ROLES["worker"]], ids=["alone", "lab"])
def test_the_rotating_identity_finds_and_changes_connections_and_makes_and_deletes_none(
    policies: tuple[str, ...], store: Store, root: hvac.Client
) -> None:
    """Airflow's own backend reads what it wrote."""
    kv, old, new = store(*policies), Credential("app", "old value"), Credential("app_b", "new/value")
    secrets_of = {"by_uri": {"conn_uri": "postgres://app:old%20value@db/x"}, "team/other": {"password": "other"}}
    secrets_of["by_field"] = {"conn_type": "http", "login": "app", "password": "old value", "extra": '{"a": 1}'}
    for id_, fields in secrets_of.items():
        root.secrets.kv.v2.create_or_update_secret(path=f"{FOLDER}/{id_}", secret=fields, mount_point="infra")
    found = {str(place) for place, content in connections(None, kv) if b"old value" in content}
    assert found == {f"store path {FOLDER}/by_uri", f"store path {FOLDER}/by_field"}

    token = root.auth.token.create(policies=["infra-ops-connections"], no_parent=True)["auth"]["client_token"]
    backend = VaultBackend(url=root.url, token=token, mount_point="infra", connections_path=FOLDER)
    change = Change("id", Stored(1, datetime.now(UTC), old), lambda: new, tried=lambda: True, note_try=lambda: None)
    for id_ in ("by_uri", "by_field"):
        carry_out([sync_connection(None, kv, change, id_)], Effects(Pages(), lambda: None))
        held = backend.get_connection(id_)
        assert held is not None
        assert (held.login, held.password) == ("app_b", "new/value")
    assert not [place for place, content in connections(None, kv) if b"old value" in content]

    refused(lambda: kv.write_fields(f"{FOLDER}/invented", {"password": "x"}, replaces=0))
    refused(lambda: kv.delete(f"{FOLDER}/by_uri"))
    with pytest.raises(SomebodyWasFaster):
        kv.write_fields(f"{FOLDER}/by_uri", {"password": "x"}, replaces=1)


def test_sensors_read_and_write_nothing(store: Store) -> None:
    store("infra-ops-credentials").write("svc/seen", ADOPTED, replaces=0)
    kv = store("infra-ops-sensors")
    assert kv.read("svc/seen")
    refused(lambda: kv.write("svc/seen", ADOPTED, replaces=1))
    refused(lambda: kv.delete("rotation/pending/seen"))


def test_the_secrets_backend_sees_connections_and_no_credential(store: Store) -> None:
    kv = store("infra-ops-connections")
    assert kv.read("airflow/connections/unknown") is None
    refused(lambda: kv.read("svc/any"))
    refused(lambda: kv.names(FOLDER))


@pytest.mark.parametrize("file", sorted(ROLES.glob("*.json")), ids=lambda file: file.stem)
def test_every_role_is_held_by_named_accounts_with_policies_that_exist(root: hvac.Client, file: Path) -> None:
    role: dict[str, Any] = root.auth.kubernetes.read_role(file.stem)
    wanted = json.loads(file.read_text())
    assert role["bound_service_account_names"] == wanted["bound_service_account_names"]
    assert "*" not in [*role["bound_service_account_names"], *role["bound_service_account_namespaces"]]
    for policy in role["policies"]:
        try:
            root.sys.read_policy(policy)
        except VaultError:
            pytest.fail(f"there is no policy {policy}")
