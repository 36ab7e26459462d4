"""Replacements of spans of a text, and why one may not be possible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class CannotReplace(Exception):
    """A value stands where no reference can stand for it; the text says why, without the value."""


@dataclass(frozen=True, order=True)
class Edit:
    """Characters `start` to `end` become `text`; nothing is taken away where both are the same."""

    start: int
    end: int
    text: str


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text after all of them. Raises ValueError when two overlap."""
    parts, at = [], 0
    for edit in sorted(edits):
        if edit.start < at:
            raise ValueError("two replacements overlap")
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])
