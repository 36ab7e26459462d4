"""What K3s says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Unreadable:
    """Takes the place of what a command answered when it is not known to answer so; `problem` quotes it."""

    problem: str


@dataclass(frozen=True)
class Snapshot:
    """One etcd snapshot; `location` is a file:// or s3:// URL and `size` is in bytes."""

    name: str
    location: str
    size: int
    created: datetime
