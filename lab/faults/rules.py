"""What goes wrong, with which requests, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, computed_field, field_validator


class Kind(StrEnum):
    """What can go wrong: at an API server all of it, at a service above all `slow`, `down` and `locked`."""

    CONFLICT = "conflict"
    """The answer of somebody who was faster: 409."""
    BUSY = "busy"
    """429 with Retry-After; the request is not carried out."""
    ERROR = "error"
    """500; the request is not carried out."""
    SLOW = "slow"
    """Carried out after `seconds`."""
    CUT = "cut"
    """The answer ends in its middle, as a watch does when its connection breaks."""
    EXPIRED = "expired"
    """410: what the request continues from, a watch or a list, is forgotten."""
    LOST = "lost"
    """Carried out, and the connection closed without an answer."""
    DOWN = "down"
    """The connection is reset, nothing is carried out. To have connections refused, stop the proxy."""
    LOCKED = "locked"
    """The service answers everybody as it answers those that it has locked out: `status` and `body`."""


class Rule(BaseModel):
    """Which requests a fault hits: those of `methods` (all, when empty) whose path with query `path` finds (a regular
    expression), but not the first `skip` of them, and `times` in all (None: every one).
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    methods: frozenset[str] = frozenset()
    path: str = ""
    skip: int = Field(0, ge=0)
    times: int | None = Field(None, ge=1)
    seconds: float = Field(1, ge=0, description="how slow, or what Retry-After says")
    status: int = Field(401, ge=200, le=599, description="of the answer of a service that has locked us out")
    body: str = ""

    _seen: int = PrivateAttr(0)
    _hits: int = PrivateAttr(0)

    @field_validator("path")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"path is no regular expression: {error}") from None
        return value

    @computed_field  # type: ignore[prop-decorator]
    @property
    def hits(self) -> int:
        """How many requests it has spoilt."""
        return self._hits

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request is spoilt; counts it."""
        if (self.methods and method not in self.methods) or not re.search(self.path, path):
            return False
        self._seen += 1
        if self._seen <= self.skip or (self.times is not None and self._hits >= self.times):
            return False
        self._hits += 1
        return True


class Rules:
    """The rules that are switched on, in their order: the first that strikes counts."""

    def __init__(self) -> None:
        self._on: list[Rule] = []

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._on)

    def switch_on(self, rule: Rule) -> None:
        self._on.append(rule)

    def switch_off(self) -> None:
        """All of them."""
        self._on.clear()

    @contextmanager
    def on(self, rule: Rule) -> Iterator[Rule]:
        """With one rule more, for as long as the block lasts; it has counted its hits."""
        self.switch_on(rule)
        try:
            yield rule
        finally:
            self._on = [other for other in self._on if other is not rule]

    def strike(self, method: str, path: str) -> Rule | None:
        """The rule that spoils this request; None when it may pass."""
        return next((rule for rule in list(self._on) if rule.strikes(method, path)), None)
