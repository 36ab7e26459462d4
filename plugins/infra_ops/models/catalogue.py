"""The catalogue of checks: include/checks.yaml."""

from __future__ import annotations

from pydantic import Field, RootModel

from infra_ops.models.documents import Document
from infra_ops.models.roadmap import CheckId


class CheckSpec(Document):
    """What a check is about: `title` as a statement, `why` it matters, `how` it is measured, how to `mend` it."""

    title: str = Field(min_length=1)
    why: str = Field(min_length=1)
    how: str = Field(min_length=1)
    mend: str = Field(min_length=1)


class Catalogue(RootModel[dict[CheckId, CheckSpec]]):
    """Every check by its id. An id is never used again for something else."""
