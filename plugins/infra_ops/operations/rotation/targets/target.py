"""What a rotation must know of a service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta

from infra_ops.facts.workloads import Workload
from infra_ops.models.copies import Place
from infra_ops.models.credentials import ROLLBACK, Credential, Login, Session, Stored
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.rotation.passwords import Rules


class CannotRotate(Refusal):
    """The credential cannot be rotated as things are; the sentence says what to do first."""


class NotStored(Exception):
    """A step needs the new value before it is stored: the steps ran in the wrong order."""


@dataclass(frozen=True)
class Budget:
    """So many wrong logins `within` that time are too many: then the service locks somebody out."""

    wrong: int
    within: timedelta


@dataclass(frozen=True)
class Change:
    """One rotation: of which credential, from which stored version, and the id that marks everything it makes.

    `find_new` gives the new value, None as long as it is not stored. `rollback`: the new value is the one before the
    old. `tried` says whether somebody has begun to set the new value, and `note_try` notes that it begins: by it a
    service is asked first for the value that it probably takes, and counts no wrong login.
    """

    credential_id: str
    old: Stored
    find_new: Callable[[], Credential | None]
    tried: Callable[[], bool]
    note_try: Callable[[], None]
    rollback: bool = False

    def new(self) -> Credential:
        """The new value. Raises NotStored."""
        found = self.find_new()
        if found is None:
            raise NotStored(f"The new value of {self.credential_id} is not stored yet.")
        return found

    @property
    def rotation_id(self) -> str:
        """`<credential>:<version>@<when the version before was made>`, the same however often it is started again.

        The time tells it from a rotation of a store that was lost and whose versions begin anew.
        """
        mark = f"{self.old.created.astimezone(UTC):%Y%m%dT%H%M%S}"
        return f"{self.credential_id}:{self.old.version + 1}@{mark}{ROLLBACK if self.rollback else ''}"

    @property
    def old_version(self) -> str:
        return f"version {self.old.version}"

    @property
    def new_version(self) -> str:
        return f"version {self.old.version + 1}"


class Target(ABC):
    """One service with a password. Methods that yield actions ask nothing by themselves; their actions do.

    What is defined here suits most services; each says what is different with it.
    """

    where: str
    """The service in words, for plans: "PostgreSQL postgresql.databases.svc:5432"."""

    overlaps: bool = True
    """It accepts old and new side by side for a while; otherwise the new value ends the old one."""

    forgives: bool = False
    """It can be made to forget the wrong logins of others (`forgive`), which a proof comes on top of."""

    budget: Budget | None = None
    """What it bears of wrong logins; None when it does not count them."""

    @abstractmethod
    def log_in(self, username: str, password: str) -> Login:
        """Try a login over the network, and leave no session behind."""

    def refuse_if_unsupported(self, login: Credential) -> None:
        """Raises CannotRotate when this service, in the version or set-up that is found, has no safe procedure.

        It takes `login` now.
        """
        return

    def rules(self, login: Credential) -> Rules:
        """What it demands of a new password; it takes `login` now."""
        return Rules()

    def next_username(self, current: str) -> str:
        """Who logs in with the new value: the same user, or the other one of two. Raises CannotRotate."""
        return current

    def prepare(self, change: Change) -> Sequence[Action]:
        """What has to be true once, before the first rotation."""
        return []

    def introduce(self, change: Change) -> Sequence[Action]:
        """Make the service accept the new value, without refusing the old one."""
        return []

    def switch(self, change: Change) -> Sequence[Action]:
        """Make the service accept the new value instead of the old one, right before consumers get it."""
        return []

    def retire(self, change: Change) -> Sequence[Action]:
        """Make the service refuse the old value."""
        return []

    def forgive(self, login: Credential) -> None:
        """Let the wrong logins of others be forgotten. Raises Problem."""
        raise NotImplementedError

    def workloads(self) -> list[Workload]:
        """Those that are the service, when a rotation restarts it: before all of their pods run the newest template,
        old and new answer side by side. Raises ClusterError.
        """
        return []

    def sessions(self, username: str) -> list[Session] | None:
        """The open sessions of a user; None where the service knows no sessions."""
        return None

    def old_sessions(self, change: Change) -> Sequence[Session]:
        """The open sessions that only the old value can have opened, where they can be told from those of the new."""
        return []

    def reversible(self, change: Change) -> Sequence[Action]:
        """What a failed run takes back of `introduce` and `switch`, the last one first."""
        return [*self.introduce(change), *self.switch(change)]

    def own_places(self) -> Iterable[Place]:
        """Where the service itself keeps the value in the cluster."""
        return []
