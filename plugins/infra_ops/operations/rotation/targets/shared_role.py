"""Two logins of PostgreSQL that work as one role, so that either can be rotated while the other is in use.

The present login is renamed to the owner: it keeps what it owns, its grants, its memberships and its open sessions,
because all of these hang on the role and not on its name. Two new logins take its place, the first with its name and
password, and work as the owner (ALTER ROLE … SET role). Facts: security-and-backup 2.1;
https://www.postgresql.org/docs/current/sql-alterrole.html
"""

from __future__ import annotations

from infra_ops.clients.effects import Effects
from infra_ops.clients.postgres import Server, literal, quoted
from infra_ops.facts import postgres as facts
from infra_ops.facts.postgres import Role, Setting
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action

# Settings whose stored value is a list that is quoted already.
LISTS = {"local_preload_libraries", "search_path", "session_preload_libraries", "temp_tablespaces"}


class SharedRole:
    """`owner` on `server`, which the logins `users` share."""

    def __init__(self, server: Server, owner: str, users: list[str]) -> None:
        self._server = server
        self._owner = owner
        self._users = users

    def exists(self) -> bool:
        """Both logins work as the owner, who cannot log in. Raises DatabaseError."""
        found = facts.roles(self._server, [self._owner, *self._users])
        owner = found.get(self._owner)
        return owner is not None and not owner.can_login and all(self._works(found.get(user)) for user in self._users)

    def share(self, credential_id: str, where: str, user: str) -> Action:
        """The action that makes the login `user` the shared role."""
        (other,) = [name for name in self._users if name != user]
        step = Step(
            f"{credential_id}.roles",
            f"roles of {where}",
            before=f"{user} on its own",
            after=f"{user} and {other} work as {self._owner}",
        )

        def look() -> str:
            return step.after if self.exists() else self._in_the_way(user, other) or step.before

        return Action(step, look, lambda effects: self._share(effects, step.id, user, other))

    def _works(self, role: Role | None) -> bool:
        return role is not None and self._owner in role.member_of and Setting("", "role", self._owner) in role.settings

    def _in_the_way(self, user: str, other: str) -> str:
        """What keeps the present login from being shared; "" when nothing does."""
        found = facts.roles(self._server, [user, self._owner, other])
        if taken := [name for name in (self._owner, other) if name in found]:
            return f"{' and '.join(taken)} there already, without both logins working as {self._owner}"
        return "" if user in found else f"{user} not there"

    def _share(self, effects: Effects, step: str, user: str, other: str) -> None:
        """One transaction: at every moment a login `user` with this password is there."""
        role = facts.role(self._server, user)
        assert role is not None  # `look` has just seen it
        statements = [
            f"alter role {quoted(user)} rename to {quoted(self._owner)}",
            f"create role {quoted(user)} login {_limits(role)}",
            f"create role {quoted(other)} nologin {_limits(role)}",
            f"alter role {quoted(self._owner)} nologin password null",
            f"grant {quoted(self._owner)} to {quoted(user)}, {quoted(other)}",
        ]
        if role.verifier:
            statements.append(f"alter role {quoted(user)} password {literal(role.verifier)}")
        for name in (user, other):
            statements += [_set(name, setting) for setting in role.settings]
            statements.append(_set(name, Setting("", "role", self._owner)))
        effects.do(
            step, f"rename {user} to {self._owner}, make two logins of it", lambda: self._server.execute(statements)
        )


def _limits(role: Role) -> str:
    """What counts for whoever logs in, and not for whom one works as afterwards."""
    until = f" valid until {literal(role.valid_until)}" if role.valid_until else ""
    return f"connection limit {role.connection_limit}{until}{' replication' if role.replication else ''}"


def _set(user: str, setting: Setting) -> str:
    place = f" in database {quoted(setting.database)}" if setting.database else ""
    value = setting.value if setting.name in LISTS else literal(setting.value)
    return f"alter role {quoted(user)}{place} set {quoted(setting.name)} to {value}"
