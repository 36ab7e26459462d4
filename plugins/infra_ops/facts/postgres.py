"""Roles, schemas and sessions of a PostgreSQL server. Never changes anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from infra_ops.clients.postgres import Server
from infra_ops.models.credentials import Session

ROLES = """
select r.rolname::text as name, r.rolcanlogin, r.rolpassword, r.rolconnlimit, r.rolreplication,
       coalesce(r.rolvaliduntil::text, '') as valid_until,
       coalesce((select array_agg(g.rolname::text) from pg_auth_members m
                 join pg_roles g on g.oid = m.roleid where m.member = r.oid), '{}') as member_of,
       coalesce((select json_agg(json_build_array(coalesce(d.datname, ''), setting)) from pg_db_role_setting s
                 cross join unnest(s.setconfig) setting left join pg_database d on d.oid = s.setdatabase
                 where s.setrole = r.oid), '[]')::text as settings
from pg_authid r where r.rolname = any($1::text[])
"""
DATABASES = "select datname::text as name from pg_database where datallowconn order by datname"
# A search_path without "$user" finds the schema whoever looks.
SCHEMA_BY_USER = """
select 1 as there from pg_namespace where nspname = $1 and not exists (
    select from pg_db_role_setting s, unnest(s.setconfig) setting
    where s.setrole in (0, (select oid from pg_roles where rolname = $1))
      and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
      and setting like 'search_path=%' and setting not like '%$user%')
"""
SESSIONS = """
select coalesce(host(client_addr), 'local') as address, application_name
from pg_stat_activity where usename = $1 and backend_type = 'client backend' order by backend_start
"""


@dataclass(frozen=True)
class Setting:
    """One of ALTER ROLE … SET; `database` is "" when it holds in all."""

    database: str
    name: str
    value: str


@dataclass(frozen=True)
class Role:
    """`verifier` is the stored form of the password, None for no password; `valid_until` is "" without an end."""

    can_login: bool
    verifier: str | None = field(repr=False)
    connection_limit: int
    replication: bool
    valid_until: str
    member_of: tuple[str, ...]
    settings: tuple[Setting, ...]


def roles(server: Server, names: Sequence[str]) -> dict[str, Role]:
    """Those of the roles that exist, by name. Needs a superuser. Raises DatabaseError."""
    return {row["name"]: _role(row) for row in server.query(ROLES, list(names))}


def role(server: Server, name: str) -> Role | None:
    """The role of that name, None when there is none. Needs a superuser. Raises DatabaseError."""
    return roles(server, [name]).get(name)


def _role(row: dict[str, Any]) -> Role:
    settings = []
    for database, entry in json.loads(row["settings"]):
        name, _, value = entry.partition("=")
        settings.append(Setting(database, name, value))
    return Role(
        row["rolcanlogin"],
        row["rolpassword"],
        row["rolconnlimit"],
        row["rolreplication"],
        row["valid_until"],
        tuple(row["member_of"]),
        tuple(settings),
    )


def databases_with_own_schema(server: Server, user: str) -> list[str]:
    """The databases in which a schema is found because it has the user's name. Raises DatabaseError."""
    databases = [row["name"] for row in server.query(DATABASES)]
    return [database for database in databases if server.query(SCHEMA_BY_USER, user, database=database)]


def sessions(server: Server, name: str) -> list[Session]:
    """The open sessions of the role `name`. Raises DatabaseError."""
    return [Session(row["address"], row["application_name"]) for row in server.query(SESSIONS, name)]
