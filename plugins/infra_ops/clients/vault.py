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
import requests
from hvac.adapters import JSONAdapter
from hvac.exceptions import VaultError
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, RequestException
from requests.exceptions import ConnectionError as RequestsConnectionError

from infra_ops.clients.retries import PASSING, READS, TRIES, Patience, pause
from infra_ops.models.copies import pattern
from infra_ops.models.problems import Problem

# The state of a store that does not serve as its health shows it: a standby, or sealed.
# https://openbao.org/api-docs/system/health/
STATES = {429: "too busy, or a standby", 472: "a recovery standby", 473: "a standby", 503: "sealed or not ready"}
AWAY = PASSING | STATES.keys()  # after these a read or a login is tried again
SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class StoreError(Problem):
    """The store did not answer or refused; the message names the store and the reason, never a secret."""


class PatientAdapter(HTTPAdapter):
    """Bears what retries.py says, and also the loss of an answer's second half when it was a read."""

    def __init__(self) -> None:
        super().__init__(max_retries=Patience.with_reads(passing=AWAY))

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        attempt = 1
        while True:
            response = super().send(request, *args, **kwargs)
            try:
                response.content  # noqa: B018  reads it
            except (ChunkedEncodingError, RequestsConnectionError):
                if request.method not in READS or attempt == TRIES:
                    raise
                pause(attempt)
                attempt += 1
            else:
                return response


class StatusAdapter(JSONAdapter):  # type: ignore[misc]  # hvac has no types
    """hvac's errors, with the HTTP status that they leave out."""

    def _raise_for_error(self, method: str, url: str, response: requests.Response) -> None:
        try:
            super()._raise_for_error(method, url, response)
        except VaultError as error:
            error.status = response.status_code
            raise


class Vault:
    """One client of the store. Nothing is sent before the first call."""

    def __init__(self) -> None:
        self.address = os.environ.get("VAULT_ADDR", "")
        if not self.address:
            raise StoreError("VAULT_ADDR is not set: it says where the secret store is")
        session = requests.Session()
        session.verify = os.environ.get("VAULT_CACERT") or True  # an empty variable must not switch the check off
        for scheme in ("http://", "https://"):
            session.mount(scheme, PatientAdapter())
        self._client = hvac.Client(url=self.address, session=session, timeout=10, adapter=StatusAdapter)
        self._logged_in = False
        self._shown: tuple[str, ...] = ()  # what a login showed of itself

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
        attempt = 1
        while not self._logged_in:
            try:
                self._authenticate()
                self._logged_in = True
            except (RequestException, VaultError) as error:
                # a login whose answer was lost has left a token that nobody knows, which expires
                if attempt == TRIES or not _is_passing(error):
                    raise StoreError(self.explain(error, *self._shown)) from None
                pause(attempt)
                attempt += 1
            except OSError as error:
                raise StoreError(f"cannot log in to {self.address}: {error.filename}: {error.strerror}") from None
        return self._client

    def _authenticate(self) -> None:
        if role_id_file := os.environ.get("VAULT_ROLE_ID_FILE"):
            role_id = Path(role_id_file).read_text().strip()
            secret_id = Path(os.environ.get("VAULT_SECRET_ID_FILE", "")).read_text().strip()
            self._shown = (secret_id,)
            self._client.auth.approle.login(role_id=role_id, secret_id=secret_id)
        else:
            role = os.environ.get("VAULT_KUBERNETES_ROLE", "")
            token = SERVICE_ACCOUNT_TOKEN.read_text()
            self._shown = (token,)
            self._client.auth.kubernetes.login(role=role, jwt=token)

    def explain(self, error: Exception, *sent: str) -> str:
        """hvac's and requests' own texts carry request paths and object addresses; ours says it in few words.

        The store's own are left out where they quote one of the secrets that were `sent`.
        """
        if isinstance(error, VaultError):
            reasons = ", ".join(map(str, error.errors or []))
            if not reasons or any(pattern(secret).search(reasons.encode()) for secret in sent):
                reasons = type(error).__name__
            state = STATES.get(getattr(error, "status", 0))
            return f"{self.address} refused{f', it is {state}' if state else ''}: {reasons}"
        if isinstance(error, RequestsConnectionError):
            return f"{self.address} does not answer"
        return f"{self.address} did not answer properly: {type(error).__name__}"


def _is_passing(error: Exception) -> bool:
    if isinstance(error, VaultError):
        return getattr(error, "status", 0) in AWAY
    return isinstance(error, RequestsConnectionError | ChunkedEncodingError)
