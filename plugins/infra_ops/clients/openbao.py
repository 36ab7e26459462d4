"""One OpenBao server, spoken to at the address of its pod, for those who deploy it, copy it and restore it.

Everybody else goes through its Service (clients/vault.py). A pod is addressed here because a scratch store has no
Service, and because a store that is not ready has nobody behind its Service. The certificate is checked for the name
that clients use, whatever address is called.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, VaultError
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import RequestException

from infra_ops.clients.vault import StoreError

PORT = 8200
NAME = "openbao.openbao.svc"
SECONDS = 20
PIECE = 64 * 1024
ACTIVE = 200
NOBODY = 0


class Denied(StoreError):
    """The store knows the caller and does not let it do that."""


class OpenBao:
    """The server at `host`, whose certificate was signed by `authority` (PEM). Methods raise StoreError."""

    def __init__(self, host: str, authority: str, token: str = "") -> None:
        self.host = host
        self.address = f"https://{host}:{PORT}"
        self._authority = authority
        session = requests.Session()
        session.mount("https://", _Pinned(ssl.create_default_context(cadata=authority)))
        self._client = hvac.Client(url=self.address, session=session, timeout=SECONDS, token=token or None)

    def health(self) -> int:
        """The status of sys/health: 200 serves, 501 is not initialized, 503 is sealed; NOBODY for no answer."""
        try:
            return int(self._client.session.get(f"{self.address}/v1/sys/health", timeout=SECONDS).status_code)
        except RequestException:
            return NOBODY

    def log_in(self, role: str, token: str) -> None:
        """Log in by a service account's token. Without a login only `health` and `read("sys/seal-status")` work."""
        try:
            self._client.auth.kubernetes.login(role=role, jwt=token)
        except (RequestException, VaultError) as error:
            raise self._problem(error, f"login as {role}") from None

    def with_policies(self, *policies: str) -> OpenBao:
        """The same server as a caller with only these policies, for a minute (the token role infra-ops-proof)."""
        made = self.write("auth/token/create/infra-ops-proof", {"policies": list(policies), "no_default_policy": True})
        return OpenBao(self.host, self._authority, made["auth"]["client_token"])

    def read(self, path: str) -> dict[str, Any] | None:
        """What the API holds at `path`; None when it holds nothing there."""
        try:
            answer: dict[str, Any] = self._client.adapter.request("GET", f"/v1/{path}")
        except InvalidPath:
            return None
        except (RequestException, VaultError) as error:
            raise self._problem(error, f"read of {path}") from None
        return answer

    def write(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Write `body` at `path`; the answer, {} for none."""
        try:
            answer = self._client.adapter.request("POST", f"/v1/{path}", json=body)
        except (RequestException, VaultError) as error:
            raise self._problem(error, f"write of {path}") from None
        return answer if isinstance(answer, dict) else {}

    def delete(self, path: str) -> None:
        """Remove what is at `path`."""
        try:
            self._client.adapter.request("DELETE", f"/v1/{path}")
        except (RequestException, VaultError) as error:
            raise self._problem(error, f"removal of {path}") from None

    def save_snapshot(self, file: Path) -> None:
        """Write a snapshot of everything that the store holds, encrypted, to `file`."""
        url = f"{self.address}/v1/sys/storage/raft/snapshot"
        try:
            with self._client.session.get(url, headers=self._headers(), stream=True, timeout=SECONDS) as answer:
                self._refuse(answer, "snapshot")
                with file.open("wb") as out:
                    for piece in answer.iter_content(PIECE):  # `answer.raw` would raise urllib3's own errors
                        out.write(piece)
        except RequestException as error:
            raise self._problem(error, "snapshot") from None

    def restore_snapshot(self, file: Path) -> None:
        """Replace everything in this store, logins included, by a snapshot of another one with the same seal key."""
        url = f"{self.address}/v1/sys/storage/raft/snapshot-force"
        try:
            with file.open("rb") as data:
                answer = self._client.session.post(url, headers=self._headers(), data=data, timeout=60)
        except RequestException as error:
            raise self._problem(error, "restore") from None
        self._refuse(answer, "restore")

    def _headers(self) -> dict[str, str]:
        return {"X-Vault-Token": str(self._client.token or "")}

    def _refuse(self, answer: requests.Response, what: str) -> None:
        if answer.status_code == requests.codes.forbidden:
            raise Denied(f"{self.address} denied the {what}")
        if not answer.ok:
            raise StoreError(f"{self.address} refused the {what} with status {answer.status_code}")

    def _problem(self, error: Exception, what: str) -> StoreError:
        """A sentence of ours: the library's texts carry request paths and object addresses."""
        if isinstance(error, Forbidden):
            return Denied(f"{self.address} denied the {what}")
        if isinstance(error, VaultError):
            return StoreError(f"{self.address} refused the {what}: {', '.join(error.errors or [type(error).__name__])}")
        if isinstance(error, RequestsConnectionError):
            return StoreError(f"{self.address} does not answer")
        return StoreError(f"{self.address} did not answer the {what} properly: {type(error).__name__}")


class _Pinned(HTTPAdapter):
    """Trusts one authority and one name, whatever the address."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        tls = {"ssl_context": self._context, "server_hostname": NAME, "assert_hostname": NAME}
        super().init_poolmanager(connections, maxsize, block, **options, **tls)  # type: ignore[no-untyped-call]

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context verifies; requests would add the authorities of the Web to it."""
