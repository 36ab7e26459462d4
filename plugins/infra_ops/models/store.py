"""The secret store (OpenBao)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Store:
    """`login` is the identity that the store gave to the caller, empty if it gave none; `problem` says why."""

    address: str
    reachable: bool
    sealed: bool
    login: str
    problem: str


@dataclass(frozen=True)
class Serving:
    """A deployed store: `status` is that of its sys/health, 0 for no answer; `pod` says what is known of its pod."""

    address: str
    status: int
    pod: str


@dataclass(frozen=True)
class Handover:
    """The recovery keys: whether the store has some, and since when they wait on the cluster to be taken (or None)."""

    exist: bool
    waiting_since: datetime | None


@dataclass(frozen=True)
class Rehearsal:
    """One restore of a snapshot into a scratch store: `canary` says whether what was written before was read back."""

    snapshot: str
    taken_at: datetime
    size: int
    canary: bool
    seconds: float
