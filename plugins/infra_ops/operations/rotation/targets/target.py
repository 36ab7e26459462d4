"""What a rotation must know of a service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from infra_ops.facts.workloads import Workload
from infra_ops.models.credentials import Credential, Login, Session, Stored
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action


class CannotRotate(Refusal):
    """The credential cannot be rotated as things are; the sentence says what to do first."""


class NotStored(Exception):
    """A step needs the new value before it is stored: the steps ran in the wrong order."""


@dataclass(frozen=True)
class Change:
    """One rotation: of which credential, from which stored version, and the id that marks everything it makes.

    `find_new` gives the new value, None as long as it is not stored.
    """

    credential_id: str
    old: Stored
    find_new: Callable[[], Credential | None]

    def new(self) -> Credential:
        """The new value. Raises NotStored."""
        found = self.find_new()
        if found is None:
            raise NotStored(f"The new value of {self.credential_id} is not stored yet.")
        return found

    @property
    def rotation_id(self) -> str:
        """`<credential>:<version>`, the same however often the rotation is started again."""
        return f"{self.credential_id}:{self.old.version + 1}"

    @property
    def old_version(self) -> str:
        return f"version {self.old.version}"

    @property
    def new_version(self) -> str:
        return f"version {self.old.version + 1}"


class Target(Protocol):
    """One service with a password. Methods that yield actions ask nothing by themselves; their actions do."""

    where: str
    """The service in words, for plans: "PostgreSQL postgresql.databases.svc:5432"."""

    def next_username(self, current: str) -> str:
        """Who logs in with the new value: the same user, or the other one of two. Raises CannotRotate."""
        ...

    def prepare(self, change: Change) -> Sequence[Action]:
        """What has to be true once, before the first rotation."""
        ...

    def introduce(self, change: Change) -> Sequence[Action]:
        """Make the service accept the new value, without refusing the old one."""
        ...

    def retire(self, change: Change) -> Sequence[Action]:
        """Make the service refuse the old value."""
        ...

    def log_in(self, username: str, password: str) -> Login:
        """Try a login over the network."""
        ...

    def workloads(self) -> list[Workload]:
        """Those that are the service, when a rotation restarts it: before all of their pods run the newest template,
        old and new answer side by side. Raises ClusterError.
        """
        ...

    def sessions(self, username: str) -> list[Session] | None:
        """The open sessions of a user; None where the service knows no sessions."""
        ...
