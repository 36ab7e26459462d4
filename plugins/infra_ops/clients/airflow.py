"""This Airflow's own REST API: its connections and its users. Facts: airflow-3.0.2 sections 1 and 6.

The login travels in the body of a request, never on a command line (`airflow users reset-password -p` shows it).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from infra_ops.clients.http import HttpError, Reply, call, judged, no_answer, part, wanted
from infra_ops.models.credentials import Credential, Login

PAGE = 100


class AirflowApi:
    """The API at `url`, used as `login`, a user with the role Admin. Every method raises HttpError."""

    def __init__(self, url: str, login: Credential) -> None:
        self.url = url
        self._login = login
        self._token = ""

    def connection_ids(self) -> list[str]:
        """The ids of all connections in Airflow's database; what the secrets backend holds is not among them."""
        ids: list[str] = []
        while True:
            page = self._call(
                "GET", f"/api/v2/connections?limit={PAGE}&offset={len(ids)}", what="a list of connections"
            )
            found = part(page, "connections", what=f"{self.url}: a list of connections")
            ids += [item["connection_id"] for item in found]
            if not found or len(ids) >= page["total_entries"]:
                return ids

    def set_connection(self, id_: str, credential: Credential) -> None:
        """Give a connection another login; the rest of it stays."""
        path = f"/api/v2/connections/{quote(id_, safe='')}"
        kind = self._call("GET", path, what=f"connection {id_}")["conn_type"]
        body = {
            "connection_id": id_,
            "conn_type": kind,
            "login": credential.username,
            "password": credential.password,
        }
        path += "?update_mask=login&update_mask=password"
        self._call("PATCH", path, body, what=f"a change of connection {id_}")

    def set_password(self, username: str, password: str) -> None:
        """Give a user of the FAB auth manager another password. It counts at once, and sessions go on.

        FAB's own API takes no tokens: `[fab] auth_backends` has to name its backend for basic authentication. It wants
        the rest of the user sent along, and changes what the mask names.
        """
        url = f"{self.url}/auth/fab/v1/users/{quote(username, safe='')}"
        login = (self._login.username, self._login.password)
        reply = call("GET", url, login=login)
        if reply.status == 401:
            raise HttpError(
                f"{self.url} does not let {self._login.username} change a password: is his own still right, and does "
                "AIRFLOW__FAB__AUTH_BACKENDS name airflow.providers.fab.auth_manager.api.auth.backend.basic_auth?"
            )
        what = f"{self.url}: a new password of {username}"
        user = wanted(reply, 200, what=what)
        body = {name: part(user, name, what=what) for name in ("username", "first_name", "last_name", "email")}
        reply = call("PATCH", f"{url}?update_mask=password", login=login, json={**body, "password": password})
        wanted(reply, 200, what=what)

    def _call(self, method: str, path: str, body: Any = None, *, what: str) -> Any:
        if not self._token:
            reply = _log_in(self.url, self._login.username, self._login.password)
            what_login = f"The login of {self._login.username} at {self.url}"
            self._token = str(part(wanted(reply, 201, what=what_login), "access_token", what=what_login))
        headers = {"Authorization": f"Bearer {self._token}"}
        reply = call(method, f"{self.url}{path}", headers=headers, json=body)
        return wanted(reply, 200, what=f"{self.url}: {what}")


def log_in(url: str, username: str, password: str) -> Login:
    """One login: 201 is accepted, 401 refused. It leaves a token that lives for a day; nothing can end it."""
    try:
        return judged(_log_in(url, username, password), accepted=201)
    except HttpError as error:
        return no_answer(error)


def connection(id_: str) -> Credential:
    """The login that a connection holds, as the task that asks gets it. For tasks only: a trigger must not ask."""
    from airflow.hooks.base import BaseHook

    held = BaseHook.get_connection(id_)
    return Credential(held.login or "", held.password or "")


def connection_text(id_: str) -> bytes:
    """All that a connection holds, to be searched."""
    from airflow.hooks.base import BaseHook

    held = BaseHook.get_connection(id_)
    return "\n".join(part for part in (held.password, held.extra, held.get_uri()) if part).encode()


def _log_in(url: str, username: str, password: str) -> Reply:
    return call("POST", f"{url}/auth/token", json={"username": username, "password": password})
