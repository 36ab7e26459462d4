"""Airflow's connections in memory: its database, behind REST API and supervisor, and the folder of the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ConnectionResult, ErrorResponse, GetConnection

from infra_ops.clients.airflow import AirflowApi
from infra_ops.clients.kv import Fields, Kv, SomebodyWasFaster
from infra_ops.models.credentials import Credential


class Database(AirflowApi):
    """`rows` by id; `unreadable` are listed and the API server fails at them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rows: dict[str, dict[str, Any]]) -> None:
        super().__init__("http://unused", Credential("", ""))
        self.rows = rows
        self.deleted: set[str] = set()
        self.unreadable: set[str] = set()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(self._answer), raising=False)

    def connection_ids(self) -> list[str]:
        return [*self.rows, *self.deleted, *self.unreadable]

    def has_connection(self, id_: str) -> bool:
        return id_ in self.connection_ids()

    def set_connection(self, id_: str, credential: Credential) -> None:
        self.rows[id_] |= {"login": credential.username, "password": credential.password}

    def _answer(self, id_: str) -> ConnectionResult | ErrorResponse:
        if id_ in self.unreadable:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"message": "a secret"}))
        if id_ not in self.rows:
            return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND, detail={"conn_id": id_})
        return ConnectionResult(conn_id=id_, **self.rows[id_])


class Supervisor:
    """What a task holds of the process above it."""

    def __init__(self, answer: Callable[[str], ConnectionResult | ErrorResponse]) -> None:
        self.lock = threading.Lock()
        self._answer = answer
        self._asked = ""

    def send_request(self, log: Any, msg: GetConnection) -> None:
        self._asked = msg.conn_id

    def get_message(self) -> ConnectionResult | ErrorResponse:
        return self._answer(self._asked)


@dataclass
class Store:
    """The KV mount: path -> versions, None for one that was deleted."""

    secrets: dict[str, list[dict[str, Any] | None]] = field(default_factory=dict)

    @property
    def kv(self) -> Kv:
        return cast(Kv, self)

    def read_fields(self, path: str) -> Fields | None:
        versions = self.secrets.get(path, [None])
        newest = versions[-1]
        return None if newest is None else Fields(len(versions), datetime.now(UTC), newest)

    def write_fields(self, path: str, values: dict[str, Any], *, replaces: int) -> int:
        if len(self.secrets[path]) != replaces:
            raise SomebodyWasFaster(f"{path} no longer has version {replaces}")
        self.secrets[path].append(values)
        return len(self.secrets[path])

    def names(self, folder: str) -> list[str]:
        below = [path.removeprefix(folder) for path in self.secrets if path.startswith(folder)]
        return sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in below})
