"""Roles, ownership and sessions of a PostgreSQL server. Never changes anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from infra_ops.clients.postgres import Server
from infra_ops.models.credentials import Session

ROLE = """
select r.rolcanlogin, r.rolpassword,
       coalesce((select array_agg(g.rolname::text) from pg_auth_members m
                 join pg_roles g on g.oid = m.roleid where m.member = r.oid), '{}') as member_of,
       coalesce((select setconfig from pg_db_role_setting where setrole = r.oid and setdatabase = 0), '{}') as settings
from pg_authid r where r.rolname = $1
"""
# Ownership is noted in a catalogue that all databases share; objects outside of databases (databases themselves,
# tablespaces) have no database there and can be handed over from anywhere.
OWNED_IN = """
select distinct coalesce(d.datname, current_database())::text as database
from pg_shdepend o join pg_roles r on r.oid = o.refobjid left join pg_database d on d.oid = o.dbid
where r.rolname = $1 and o.deptype = 'o' and o.refclassid = 'pg_authid'::regclass order by database
"""
SESSIONS = """
select coalesce(host(client_addr), 'local') as address, application_name
from pg_stat_activity where usename = $1 and backend_type = 'client backend' order by backend_start
"""


@dataclass(frozen=True)
class Role:
    """`verifier` is the stored form of the password, None for no password; `settings` are those of ALTER ROLE SET."""

    can_login: bool
    verifier: str | None = field(repr=False)
    member_of: tuple[str, ...]
    settings: tuple[str, ...]


def role(server: Server, name: str) -> Role | None:
    """The role of that name, None when there is none. Needs a superuser. Raises DatabaseError."""
    rows = server.query(ROLE, name)
    if not rows:
        return None
    row = rows[0]
    return Role(row["rolcanlogin"], row["rolpassword"], tuple(row["member_of"]), tuple(row["settings"]))


def owned_in(server: Server, name: str) -> list[str]:
    """The databases from which everything that the role `name` owns can be handed over. Raises DatabaseError."""
    return [row["database"] for row in server.query(OWNED_IN, name)]


def sessions(server: Server, name: str) -> list[Session]:
    """The open sessions of the role `name`. Raises DatabaseError."""
    return [Session(row["address"], row["application_name"]) for row in server.query(SESSIONS, name)]
