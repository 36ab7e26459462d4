"""A connection of Airflow in the two places where it may be kept: Airflow's database and the secret store.

The store's one is a secret as the VaultBackend of the hashicorp provider reads it: its field `conn_uri`, or the
arguments of Airflow's Connection. Workers look there first, so it hides one of the same id in the database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from infra_ops.models.copies import Place
from infra_ops.models.credentials import Credential

FOLDER = "airflow/connections"  # connections_path of the backend, in include/manifests/infra-ops/worker.env

# Airflow also takes a host with a protocol of its own: `http://https://user:password@host`.
URI = re.compile(r"(?P<scheme>(?:[^:/?#]+://){1,2})(?:(?P<login>[^/?#]*)@)?(?P<rest>.*)", re.DOTALL)


def store_path(id_: str) -> str:
    """Where the store keeps the connection, below its mount."""
    return f"{FOLDER}/{id_}"


def in_database(id_: str) -> Place:
    """The copy that the connection holds in Airflow's database."""
    return Place("connection of Airflow", "", id_)


def in_store(id_: str) -> Place:
    """The copy that the connection holds in the store."""
    return Place("store path", "", store_path(id_))


def login_of(fields: Mapping[str, Any]) -> Credential:
    """The login that Airflow takes out of a connection's fields."""
    key = _uri_key(fields)
    if key is None:
        return Credential(str(fields.get("login") or ""), str(fields.get("password") or ""))
    found = URI.fullmatch(fields[key])
    username, _, password = ((found and found["login"]) or "").partition(":")
    return Credential(unquote(username), unquote(password))


def with_login(fields: Mapping[str, Any], login: Credential) -> dict[str, Any]:
    """The same connection with another login."""
    key = _uri_key(fields)
    if key is None:
        return {**fields, "login": login.username, "password": login.password}
    quoted = f"{quote(login.username, safe='')}:{quote(login.password, safe='')}@"
    uri = URI.fullmatch(fields[key])
    return {**fields, key: f"{uri['scheme']}{quoted}{uri['rest']}"} if uri else dict(fields)


def text_of(fields: Mapping[str, Any]) -> bytes:
    """All that a connection holds, to be searched: as it stands there, and with the escapes of URLs undone."""
    values = [value if isinstance(value, str) else json.dumps(value) for value in fields.values()]
    return "\n".join([*values, *map(unquote, values)]).encode()


def _uri_key(fields: Mapping[str, Any]) -> str | None:
    return next((key for key in ("conn_uri", "uri") if fields.get(key)), None)
