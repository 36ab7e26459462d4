"""What the connections of Airflow hold: those in its database, hidden or not, and those in the store."""

from __future__ import annotations

from collections.abc import Iterator

from infra_ops.clients.airflow import AirflowApi, database_connection
from infra_ops.clients.kv import Kv
from infra_ops.models.connections import FOLDER, in_database, in_store, text_of
from infra_ops.models.copies import Place


def connections(api: AirflowApi | None, kv: Kv) -> Iterator[tuple[Place, bytes]]:
    """The place of each connection and its content. For tasks only, when there is an `api`.

    Raises HttpError, StoreError, and Unreadable for a connection that is listed and cannot be read.
    """
    for id_ in api.connection_ids() if api else []:
        yield in_database(id_), text_of(database_connection(id_))
    for id_ in _stored_ids(kv):
        if stored := kv.read_fields(f"{FOLDER}/{id_}"):  # None: deleted, only its name is left
            yield in_store(id_), text_of(stored.values)


def _stored_ids(kv: Kv, folder: str = "") -> Iterator[str]:
    for name in kv.names(f"{FOLDER}/{folder}"):
        if name.endswith("/"):
            yield from _stored_ids(kv, f"{folder}{name}")
        else:
            yield f"{folder}{name}"
