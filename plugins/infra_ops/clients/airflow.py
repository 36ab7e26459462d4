"""This Airflow's own REST API: its connections and its users. Facts: airflow-3.0.2 sections 1 and 6.

The login travels in the body of a request, never on a command line (`airflow users reset-password -p` shows it).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from infra_ops.clients.http import HttpError, Reply, call, judged, no_answer, part, wanted
from infra_ops.models.credentials import Credential, Login
from infra_ops.models.problems import Problem

PAGE = 100


class Unreadable(Problem):
    """A connection of Airflow could not be read."""


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

    def has_connection(self, id_: str) -> bool:
        """Whether Airflow's database holds a connection of this id."""
        reply = self._ask("GET", _path(id_))
        if reply.status != 404:
            wanted(reply, 200, what=f"{self.url}: connection {id_}")
        return reply.status == 200

    def set_connection(self, id_: str, credential: Credential) -> None:
        """Give a connection another login; the rest of it stays."""
        path = _path(id_)
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
        return wanted(self._ask(method, path, body), 200, what=f"{self.url}: {what}")

    def _ask(self, method: str, path: str, body: Any = None) -> Reply:
        if not self._token:
            reply = _log_in(self.url, self._login.username, self._login.password)
            what_login = f"The login of {self._login.username} at {self.url}"
            self._token = str(part(wanted(reply, 201, what=what_login), "access_token", what=what_login))
        headers = {"Authorization": f"Bearer {self._token}"}
        return call(method, f"{self.url}{path}", headers=headers, json=body)


def log_in(url: str, username: str, password: str) -> Login:
    """One login: 201 is accepted, 401 refused. It leaves a token that lives for a day; nothing can end it."""
    try:
        return judged(_log_in(url, username, password), accepted=201)
    except HttpError as error:
        return no_answer(error)


def database_connection(id_: str) -> dict[str, Any]:
    """All fields of a connection as the API server holds them. For tasks only: a trigger must not ask.

    BaseHook asks the worker's secrets backend first, and what that has of the same id hides the database's. Raises
    Unreadable.
    """
    import structlog
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.comms import ConnectionResult, ErrorResponse, GetConnection
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    with SUPERVISOR_COMMS.lock:
        SUPERVISOR_COMMS.send_request(log=structlog.get_logger(), msg=GetConnection(conn_id=id_))
        try:
            answer = SUPERVISOR_COMMS.get_message()
        except AirflowRuntimeError as error:  # its details may quote anything
            answer = error.error
    if isinstance(answer, ConnectionResult):
        return answer.model_dump(exclude={"type", "conn_id"}, exclude_none=True)
    reason = answer.error.value if isinstance(answer, ErrorResponse) else "no answer"
    raise Unreadable(
        f"Connection {id_} of Airflow's database cannot be read ({reason}): if it was not deleted just now, no task "
        "can use it either; mend it or delete it."
    )


def _path(id_: str) -> str:
    return f"/api/v2/connections/{quote(id_, safe='')}"


def _log_in(url: str, username: str, password: str) -> Reply:
    return call("POST", f"{url}/auth/token", json={"username": username, "password": password})
