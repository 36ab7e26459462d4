"""PostgreSQL: two users take turns, so that no login fails while consumers move from one to the other.

Both are members of a role that owns everything and cannot log in, and work as it (ALTER ROLE … SET role): whoever of
the two creates a table, the other may alter it. Facts: security-and-backup 2.1;
https://www.postgresql.org/docs/current/sql-alterrole.html
"""

from __future__ import annotations

from collections.abc import Sequence

from infra_ops.clients.effects import Effects
from infra_ops.clients.postgres import Server, literal, log_in, quoted
from infra_ops.facts import postgres as facts
from infra_ops.facts.workloads import Workload
from infra_ops.models import scram
from infra_ops.models.credentials import Credential, Login, Session
from infra_ops.models.inventory import Postgres
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action, StepFailed
from infra_ops.operations.rotation.targets.target import CannotRotate, Change


class PostgresTarget:
    def __init__(self, spec: Postgres, admin: Credential) -> None:
        self._spec = spec
        self._server = Server(spec.host, spec.port, admin)
        self.where = f"PostgreSQL {spec.host}:{spec.port}"

    def next_username(self, current: str) -> str:
        users = self._spec.users
        if current not in users:
            raise CannotRotate(
                f"The stored login of {self.where} is {current!r}, but the inventory lets {' and '.join(users)} "
                "take turns: name it there."
            )
        return users[1] if current == users[0] else users[0]

    def prepare(self, change: Change) -> Sequence[Action]:
        if change.old.credential.rotation_id:
            return []  # an earlier rotation has prepared it
        user, other, owner = change.old.credential.username, self._other(change), self._spec.owner
        roles = Step(
            f"{change.credential_id}.roles",
            f"roles of {self.where}",
            before=f"{user} on its own",
            after=f"{user} and {other} work as {owner}",
        )
        ownership = Step(
            f"{change.credential_id}.owner",
            f"objects in {self.where}",
            before=f"owned by {user}",
            after=f"owned by {owner}",
        )
        return [
            Action(
                roles,
                look=lambda: roles.after if self._is_shared(user, other) else self._roles_before(user, roles.before),
                do=lambda effects: self._share(effects, roles.id, user, other),
            ),
            Action(
                ownership,
                look=lambda: ownership.before if facts.owned_in(self._server, user) else ownership.after,
                do=lambda effects: self._hand_over(effects, ownership.id, user),
            ),
        ]

    def introduce(self, change: Change) -> Sequence[Action]:
        other = self._other(change)
        step = Step(
            f"{change.credential_id}.set",
            f"role {other} of {self.where}",
            before="another password or none",
            after=f"password of {change.new_version}",
        )

        def look() -> str:
            role = facts.role(self._server, other)
            new = change.find_new()
            known = new and role and role.can_login and scram.matches(new.password, role.verifier)
            return step.after if known else step.before

        def do(effects: Effects) -> None:
            statement = f"alter role {quoted(other)} login password {literal(scram.verifier(change.new().password))}"
            effects.do(step.id, f"set the password of {other}", lambda: self._server.execute([statement]))

        return [Action(step, look, do, undo=lambda effects: self._disable(effects, step.id, other))]

    def retire(self, change: Change) -> Sequence[Action]:
        old = change.old.credential
        step = Step(
            f"{change.credential_id}.retire",
            f"role {old.username} of {self.where}",
            before=f"password of {change.old_version}",
            after="no password",
        )

        def look() -> str:
            role = facts.role(self._server, old.username)
            if role is None or role.verifier is None:
                return step.after
            return step.before if scram.matches(old.password, role.verifier) else "a password that nobody stored"

        def do(effects: Effects) -> None:
            if open_sessions := self.sessions(old.username):
                raise StepFailed(f"{old.username} still has sessions: {', '.join(map(str, open_sessions))}.")
            self._disable(effects, step.id, old.username)

        return [Action(step, look, do)]

    def log_in(self, username: str, password: str) -> Login:
        return log_in(self._spec.host, self._spec.port, self._spec.database, username, password)

    def workloads(self) -> list[Workload]:
        return []

    def sessions(self, username: str) -> list[Session]:
        return facts.sessions(self._server, username)

    def _other(self, change: Change) -> str:
        return self.next_username(change.old.credential.username)

    def _is_shared(self, *users: str) -> bool:
        owner = facts.role(self._server, self._spec.owner)
        roles = [facts.role(self._server, user) for user in users]
        return (
            owner is not None
            and not owner.can_login
            and all(r and self._spec.owner in r.member_of and f"role={self._spec.owner}" in r.settings for r in roles)
        )

    def _roles_before(self, user: str, before: str) -> str:
        owner = facts.role(self._server, self._spec.owner)
        if owner is not None and owner.can_login:
            return f"{self._spec.owner} exists and can log in"
        return before if facts.role(self._server, user) else f"{user} does not exist"

    def _share(self, effects: Effects, step: str, user: str, other: str) -> None:
        """One transaction: roles that exist already are kept, so it can be repeated."""
        owner = self._spec.owner
        statements = [
            f"create role {quoted(name)} nologin" for name in (owner, other) if facts.role(self._server, name) is None
        ]
        statements.append(f"grant {quoted(owner)} to {quoted(user)}, {quoted(other)}")
        statements += [f"alter role {quoted(name)} set role {literal(owner)}" for name in (user, other)]
        effects.do(step, f"make {user} and {other} members of {owner}", lambda: self._server.execute(statements))

    def _hand_over(self, effects: Effects, step: str, user: str) -> None:
        statement = f"reassign owned by {quoted(user)} to {quoted(self._spec.owner)}"
        for database in facts.owned_in(self._server, user):
            effects.do(
                step,
                f"give the objects of {user} in {database} to {self._spec.owner}",
                lambda database=database: self._server.execute([statement], database=database),  # type: ignore[misc]
            )

    def _disable(self, effects: Effects, step: str, user: str) -> None:
        statement = f"alter role {quoted(user)} password null"
        effects.do(step, f"take the password from {user}", lambda: self._server.execute([statement]))
