"""What a run did, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from infra_ops.models.outcomes import Outcome
from infra_ops.models.plans import Plan

if TYPE_CHECKING:
    from infra_ops.clients.journal import Entry


def report(
    run: str,
    mode: dict[str, str] | None,
    plan: dict[str, Any] | None,
    entries: Iterable[Entry],
    outcomes: Iterable[Outcome],
) -> str:
    """A Markdown text. `mode` and `plan` are the XComs of those names, None when the run did not get so far."""
    wanted = f"To {mode['name']}: {mode['why']}." if mode else "It was refused before it decided anything."
    return "\n\n".join(
        [
            f"# {run}",
            wanted,
            *_section("Plan", Plan.from_dict(plan).text().splitlines() if plan else ["none"]),
            *_section("Written", [f"{entry.at} {entry.step}: {entry.what}" for entry in entries]),
            *_section("Found", [f"{outcome.state.value}: {outcome.sentence()}" for outcome in outcomes]),
        ]
    )


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {line}" for line in lines or ["nothing"])]
