"""The secret store: OpenBao, spoken to by the Vault protocol.

`VAULT_ADDR` and `VAULT_CACERT` say where it is, as for every Vault client. Who we are, the pod or the machine says:
with the files `VAULT_ROLE_ID_FILE` and `VAULT_SECRET_ID_FILE` by AppRole, otherwise by the pod's service-account token
for the role `VAULT_KUBERNETES_ROLE`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hvac
from hvac.exceptions import VaultError
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import RequestException

from infra_ops.models.problems import Problem

SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class StoreError(Problem):
    """The store did not answer or refused; the message names the store and the reason, never a secret."""


class Vault:
    """One client of the store. Nothing is sent before the first call."""

    def __init__(self) -> None:
        self.address = os.environ.get("VAULT_ADDR", "")
        if not self.address:
            raise StoreError("VAULT_ADDR is not set: it says where the secret store is")
        self._client = hvac.Client(url=self.address, verify=os.environ.get("VAULT_CACERT", True), timeout=10)
        self._logged_in = False

    def seal_status(self) -> dict[str, Any]:
        """The answer of `sys/seal-status`, which needs no login. Raises `StoreError`."""
        try:
            status: dict[str, Any] = self._client.sys.read_seal_status()
        except (RequestException, VaultError) as error:
            raise StoreError(self.explain(error)) from None
        return status

    def log_in(self) -> str:
        """Log in and return the name that the store gives to the caller. Raises `StoreError`."""
        try:
            return str(self.client().auth.token.lookup_self()["data"]["display_name"])
        except (RequestException, VaultError) as error:
            raise StoreError(self.explain(error)) from None

    def client(self) -> hvac.Client:
        """The client, logged in with the first call. Raises `StoreError`."""
        if self._logged_in:
            return self._client
        try:
            self._authenticate()
        except (RequestException, VaultError) as error:
            raise StoreError(self.explain(error)) from None
        except OSError as error:
            raise StoreError(f"cannot log in to {self.address}: {error.filename}: {error.strerror}") from None
        self._logged_in = True
        return self._client

    def _authenticate(self) -> None:
        if role_id_file := os.environ.get("VAULT_ROLE_ID_FILE"):
            role_id = Path(role_id_file).read_text().strip()
            secret_id = Path(os.environ.get("VAULT_SECRET_ID_FILE", "")).read_text().strip()
            self._client.auth.approle.login(role_id=role_id, secret_id=secret_id)
        else:
            role = os.environ.get("VAULT_KUBERNETES_ROLE", "")
            self._client.auth.kubernetes.login(role=role, jwt=SERVICE_ACCOUNT_TOKEN.read_text())

    def explain(self, error: Exception) -> str:
        """hvac's and requests' own texts carry request paths and object addresses; ours says it in few words."""
        if isinstance(error, RequestsConnectionError):
            return f"{self.address} does not answer"
        if isinstance(error, VaultError):
            return f"{self.address} refused: {', '.join(error.errors or [type(error).__name__])}"
        return f"{self.address} did not answer properly: {type(error).__name__}"
