"""The user's roadmap: every line, what makes it true and what measures it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from infra_ops.models.documents import Document

CheckId = Annotated[str, Field(pattern=r"^K\d{3}$")]
DagId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Measured(Document):
    """A sentence of the roadmap that is true while all its `checks` pass. Without checks nobody knows.

    `subjects` are the ids of the credentials that a check of credentials must pass for, each of them, or `repository`
    for the branch that people work on; what was never measured is missing, and not passed over. A check of the whole
    cluster has none.
    """

    title: str
    checks: list[CheckId] = []
    subjects: list[str] = []


class Line(Measured):
    """A checkbox. `runbook` is the DAG that makes it true, None until it is built."""

    runbook: DagId | None = None
    lines: list[Line] = []

    def walk(self) -> Iterator[Line]:
        """This line and all below it, in the roadmap's order."""
        yield self
        for line in self.lines:
            yield from line.walk()


class Section(Document):
    title: str
    lines: list[Line] = []
    criteria: list[Measured] = []


class Phase(Document):
    id: Annotated[str, Field(pattern=r"^phase_\d$")]
    title: str
    sections: list[Section]


class CompletedPhase(Document):
    """A phase that the roadmap calls done: its lines are promises that checks must keep."""

    title: str
    lines: list[Line]


class Metrics(Document):
    title: str
    lines: list[Measured]


class Roadmap(Document):
    phases: list[Phase]
    completed: list[CompletedPhase]
    metrics: list[Metrics]

    def open_lines(self) -> list[Line]:
        """Every checkbox of the planned phases."""
        return [
            line for phase in self.phases for section in phase.sections for top in section.lines for line in top.walk()
        ]

    def completed_lines(self) -> list[Line]:
        """The lines under 'Completed Phases Summary'."""
        return [line for phase in self.completed for line in phase.lines]

    def criteria(self) -> list[Measured]:
        """The success criteria of the phases."""
        return [item for phase in self.phases for section in phase.sections for item in section.criteria]

    def success_metrics(self) -> list[Measured]:
        return [item for group in self.metrics for item in group.lines]
