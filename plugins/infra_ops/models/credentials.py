"""A login and where it is kept. Passwords never show up in a repr, a log or an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

ROLLBACK = ":rollback"


@dataclass(frozen=True)
class Credential:
    """A login as the store keeps it.

    `rotation_id` names the rotation that made the value ("" for one that was adopted), `base_version` the version
    that it replaces (0 for an adopted one).
    """

    username: str
    password: str = field(repr=False)
    rotation_id: str = ""
    base_version: int = 0

    @property
    def rolled_back(self) -> bool:
        """It is an older value that was put back."""
        return self.rotation_id.endswith(ROLLBACK)


@dataclass(frozen=True)
class Stored:
    """A credential at a path of the store, with its version there."""

    version: int
    created: datetime
    credential: Credential


@dataclass(frozen=True)
class Session:
    """An open session of a service: where the client comes from, and how it calls itself."""

    address: str
    application: str

    def __str__(self) -> str:
        return f"{self.application or 'unnamed'} from {self.address}"


@dataclass(frozen=True)
class Moving:
    """How far the consumers of a credential have come.

    `rollouts` maps each workload to what its rollout still lacks ("" for nothing), `old_sessions` are the open sessions
    of the old login where it is another user, `without_session` the workloads that should hold a session of the new
    login and do not, `left_behind` the pods that started with the old value and that nothing replaces.
    """

    rollouts: dict[str, str]
    old_sessions: tuple[Session, ...] = ()
    without_session: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()


class Answer(StrEnum):
    """What a service made of a login. `unreachable` says nothing about the password."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Login:
    """One attempt to log in: the answer and the service's own code or words for it (an SQLSTATE, an HTTP status)."""

    answer: Answer
    code: str
