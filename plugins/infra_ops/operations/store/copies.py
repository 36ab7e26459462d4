"""The snapshots of the store as files, each with what became of it when it was restored for practice.

They are encrypted with the store's own keyring: without its seal key they are noise. They lie on a volume of their own
that the storage class keeps off the store's node; copies outside of the cluster come with its S3 server.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from infra_ops.models.problems import Refusal
from infra_ops.models.store import Rehearsal

VARIABLE = "INFRA_OPS_BACKUPS"
STAMP = "%Y%m%dT%H%M%SZ"


class NoPlace(Refusal):
    """There is nowhere to keep copies; the sentence says what is missing."""


@dataclass(frozen=True)
class Copy:
    """One snapshot."""

    file: Path
    taken_at: datetime

    @property
    def record(self) -> Path:
        return self.file.with_suffix(".json")


class Copies:
    """Those below the folder that INFRA_OPS_BACKUPS names. Raises NoPlace when it names none that is there."""

    def __init__(self) -> None:
        root = Path(os.environ.get(VARIABLE, ""))
        if not os.environ.get(VARIABLE) or not root.is_dir():
            raise NoPlace(f"{VARIABLE} names no folder: it says where backups are kept, on a volume of their own.")
        self._folder = root / "openbao"
        self._folder.mkdir(exist_ok=True)

    def all(self) -> list[Copy]:
        """The finished ones, oldest first."""
        return [
            Copy(file, datetime.strptime(file.name.partition("-")[0], STAMP).replace(tzinfo=UTC))
            for file in sorted(self._folder.glob("*.snap"))
        ]

    def of(self, run: str) -> Copy | None:
        """The one that a run has taken."""
        return next((copy for copy in self.all() if copy.file.stem.endswith(_mark(run))), None)

    def keep(self, run: str, save: Callable[[Path], None]) -> None:
        """A new one: `save` writes the file, which has its name only once it is whole and on the disk.

        What earlier ones left that were broken off goes: one run at a time writes here.
        """
        for left in self._folder.glob("*.part"):
            left.unlink()
        name = f"{datetime.now(UTC):{STAMP}}-{_mark(run)}.snap"
        part = self._folder / f"{name}.part"
        save(part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.chmod(0o600)
        part.rename(self._folder / name)

    def note(self, copy: Copy, rehearsal: Rehearsal) -> None:
        """Keep what became of a copy beside it."""
        fresh = copy.record.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(rehearsal) | {"taken_at": rehearsal.taken_at.isoformat()}))
        fresh.rename(copy.record)

    def rehearsal(self, copy: Copy) -> Rehearsal | None:
        """What became of a copy; None when nobody has restored it yet."""
        if not copy.record.exists():
            return None
        value = json.loads(copy.record.read_text())
        return Rehearsal(**value | {"taken_at": datetime.fromisoformat(value["taken_at"])})

    def surplus(self, keep: int) -> list[Copy]:
        """Those that are older than the newest `keep`."""
        return self.all()[:-keep]

    def remove(self, copies: list[Copy]) -> None:
        """Delete copies with their records."""
        for copy in copies:
            copy.record.unlink(missing_ok=True)
            copy.file.unlink(missing_ok=True)


def _mark(run: str) -> str:
    return hashlib.sha256(run.encode()).hexdigest()[:10]
