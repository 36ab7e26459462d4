"""PostgreSQL: two users take turns, so that no login fails while consumers move from one to the other.

Both work as one owner (shared_role.py): whoever of the two creates a table, the other may alter it.
Facts: security-and-backup 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra_ops.clients.effects import Effects
from infra_ops.clients.postgres import Server, literal, log_in, quoted
from infra_ops.facts import postgres as facts
from infra_ops.models import scram
from infra_ops.models.credentials import Credential, Login, Session
from infra_ops.models.plans import Step
from infra_ops.models.services import Postgres
from infra_ops.operations.actions import Action, StepFailed
from infra_ops.operations.rotation.targets.shared_role import SharedRole
from infra_ops.operations.rotation.targets.target import CannotRotate, Change, Target


class PostgresTarget(Target):
    def __init__(self, spec: Postgres, admin: Credential) -> None:
        self._spec = spec
        self._server = Server(spec.host, spec.port, admin)
        self._shared = SharedRole(self._server, spec.owner, spec.users)
        self.where = f"PostgreSQL {spec.host}:{spec.port}"

    def next_username(self, current: str) -> str:
        users = self._spec.users
        if current not in users:
            raise CannotRotate(
                f"The stored login of {self.where} is {current!r}, but the inventory lets {' and '.join(users)} "
                "take turns: name it there."
            )
        return users[1] if current == users[0] else users[0]

    def refuse_if_unsupported(self, login: Credential) -> None:
        """An md5 verifier cannot be compared with a password that is to be retired, and a schema that is found by its
        user's name would be lost once the user works as the owner.
        """
        role = facts.role(self._server, login.username)
        if role and (role.verifier or "").startswith("md5"):
            raise CannotRotate(
                f"{self.where} keeps the password of {login.username} as md5, which PostgreSQL is giving up. Set "
                "password_encryption = 'scram-sha-256' and give the role the same password once more."
            )
        if not self._shared.exists():
            for database in facts.databases_with_own_schema(self._server, login.username):
                raise CannotRotate(
                    f"The schema {login.username} in database {database} of {self.where} is found by its user's name, "
                    f"which becomes {self._spec.owner}. Name it first: "
                    f"alter database {database} set search_path to {login.username}, public."
                )

    def prepare(self, change: Change) -> Sequence[Action]:
        return [self._shared.share(change.credential_id, self.where, change.old.credential.username)]

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
            if open_sessions := self.old_sessions(change):
                raise StepFailed(f"{old.username} still has sessions: {', '.join(map(str, open_sessions))}.")
            self._disable(effects, step.id, old.username)

        return [Action(step, look, do)]

    def log_in(self, username: str, password: str) -> Login:
        return log_in(self._spec.host, self._spec.port, self._spec.database, username, password)

    def sessions(self, username: str) -> list[Session]:
        return facts.sessions(self._server, username)

    def old_sessions(self, change: Change) -> list[Session]:
        """Also those that were open when the first rotation renamed their login to the owner."""
        return [*self.sessions(change.old.credential.username), *self.sessions(self._spec.owner)]

    def _other(self, change: Change) -> str:
        return self.next_username(change.old.credential.username)

    def _disable(self, effects: Effects, step: str, user: str) -> None:
        statement = f"alter role {quoted(user)} password null"
        effects.do(step, f"take the password from {user}", lambda: self._server.execute([statement]))
