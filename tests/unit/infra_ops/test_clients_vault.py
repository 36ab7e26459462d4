"""The store's states, as its client and the fact tell them."""

import socket
from pathlib import Path

import pytest

from infra_ops.clients.vault import StoreError, Vault
from infra_ops.facts.store import read_store
from tests.unit.infra_ops.web import serve

UNSEALED = {"/v1/sys/seal-status": (200, {"sealed": False})}
LOGIN = {"auth": {"client_token": "invented-token"}}


@pytest.fixture(autouse=True)
def approle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "role_id").write_text("role\n")
    (tmp_path / "secret_id").write_text("invented-secret\n")
    monkeypatch.setenv("VAULT_ROLE_ID_FILE", str(tmp_path / "role_id"))
    monkeypatch.setenv("VAULT_SECRET_ID_FILE", str(tmp_path / "secret_id"))
    return tmp_path


def test_an_open_store_tells_the_caller_who_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = UNSEALED | {
        "/v1/auth/approle/login": (200, LOGIN),
        "/v1/auth/token/lookup-self": (200, {"data": {"display_name": "approle"}}),
    }
    with serve(answers) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        store = read_store(Vault())
    assert (store.reachable, store.sealed, store.login, store.problem) == (True, False, "approle", "")


def test_a_sealed_store_is_not_asked_for_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []
    with serve({"/v1/sys/seal-status": (200, {"sealed": True})}, seen) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        store = read_store(Vault())
    assert (store.reachable, store.sealed, store.problem) == (True, True, f"{address} is sealed")
    assert [path for path, _ in seen] == ["/v1/sys/seal-status"]


def test_a_refused_login_is_told_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = {"/v1/auth/approle/login": (400, {"errors": ["invalid role or secret ID"]})}
    with serve(UNSEALED | refusal) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        store = read_store(Vault())
    assert (store.login, store.problem) == ("", f"{address} refused: invalid role or secret ID")


def test_words_that_quote_the_secret_of_a_login_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = {"/v1/auth/approle/login": (400, {"errors": ["nobody knows invented-secret"]})}
    with serve(UNSEALED | refusal) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        store = read_store(Vault())
    assert store.problem == f"{address} refused: InvalidRequest"


def test_a_store_that_is_not_there_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("VAULT_ADDR", address)
        store = read_store(Vault())
    assert (store.reachable, store.problem) == (False, f"{address} does not answer")


def test_a_missing_secret_id_is_named(approle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (approle / "secret_id").unlink()
    with serve(UNSEALED) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        assert read_store(Vault()).problem.endswith("secret_id: No such file or directory")


def test_a_pod_logs_in_with_its_service_account_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_ROLE_ID_FILE")
    monkeypatch.setenv("VAULT_KUBERNETES_ROLE", "infra-ops-upkeep")
    (tmp_path / "token").write_text("invented.jwt")
    monkeypatch.setattr("infra_ops.clients.vault.SERVICE_ACCOUNT_TOKEN", tmp_path / "token")
    answers = {
        "/v1/auth/kubernetes/login": (200, LOGIN),
        "/v1/auth/token/lookup-self": (200, {"data": {"display_name": "kubernetes-airflow-infra-ops-upkeep"}}),
    }
    with serve(answers) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        assert Vault().log_in() == "kubernetes-airflow-infra-ops-upkeep"


def test_without_an_address_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    with pytest.raises(StoreError, match="VAULT_ADDR is not set"):
        Vault()
