"""What a check found out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """`unknown` is for what could not be measured; it is neither a pass nor a fail."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """One check's answer about one subject, as it was measured in one run.

    `id` is the check's, as allotted in include/checks.yaml. `reason` is empty for a pass. The outcome counts until
    `measured_at` + `valid_for`.
    """

    id: str
    subject: str
    state: State
    expected: str
    seen: str
    reason: str
    measured_at: datetime
    valid_for: timedelta
    run: str

    def sentence(self) -> str:
        """For people: what was looked at, what should be, what is, and why."""
        text = f"{self.id} {self.subject}: expected {self.expected}, saw {self.seen}"
        return f"{text}: {self.reason}" if self.reason else text

    def stale(self, now: datetime) -> bool:
        """It was measured too long ago to count."""
        return now > self.measured_at + self.valid_for

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: time as ISO 8601, duration in seconds."""
        return asdict(self) | {
            "state": self.state.value,
            "measured_at": self.measured_at.isoformat(),
            "valid_for": self.valid_for.total_seconds(),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Outcome:
        """The outcome that `as_dict` wrote."""
        return cls(
            **value
            | {
                "state": State(value["state"]),
                "measured_at": datetime.fromisoformat(value["measured_at"]),
                "valid_for": timedelta(seconds=value["valid_for"]),
            }
        )


def not_passed(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those that failed or could not be measured."""
    return [outcome for outcome in outcomes if outcome.state is not State.PASS]


def newest(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The last measured outcome of each check and subject, in that order."""
    latest: dict[tuple[str, str], Outcome] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.measured_at):
        latest[outcome.id, outcome.subject] = outcome
    return [latest[key] for key in sorted(latest)]
