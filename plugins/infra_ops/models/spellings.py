"""How a value may be spelled in a text: as it is, escaped for a URL, JSON, YAML or Compose, or in base64.

Each spelling gives the text's bytes decoded, and for each of them where it stood: so what is looked for needs to be
known in one form only.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from infra_ops.models.fingerprints import Finder, Match, Print


class Spelling(StrEnum):
    PLAIN = "as it is"
    URL = "escaped for a URL"
    BACKSLASH = "with backslashes"
    DOUBLED = "with doubled quotes or dollars"
    BASE64 = "in base64"


# What one character of the value may look like, the decoded character in group 1 where it is not the whole.
ESCAPES = {
    Spelling.URL: re.compile(r"%([0-9A-Fa-f]{2})"),
    Spelling.BACKSLASH: re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[\"'\\/$`!&])"),
    Spelling.DOUBLED: re.compile(r"('')|(\"\")|(\$\$)"),
}
BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")


@dataclass(frozen=True, order=True)
class Found:
    """A value stands in characters `start` to `end`. In base64 that is all of the token that holds it."""

    start: int
    end: int
    print: Print
    spelling: Spelling
    value: str = field(repr=False, compare=False)

    def moved(self, by: int) -> Found:
        """The same in a text that begins `by` characters earlier."""
        return replace(self, start=self.start + by, end=self.end + by)


def find(text: str, finder: Finder) -> list[Found]:
    """The places of all known values in a text, in order and without overlaps; a longer one wins."""
    found: list[Found] = []
    offset = 0
    for line in text.splitlines(keepends=True):
        for each in _in_line(line, finder):
            found.append(each.moved(offset))
        offset += len(line)
    return found


def _in_line(line: str, finder: Finder) -> list[Found]:
    order = list(Spelling)
    candidates = [
        Found(places[match.start], places[match.end], match.print, spelling, _text(decoded, match))
        for spelling, decoded, places in _decoded(line)
        for match in finder.find(decoded)
    ]
    candidates += list(_in_base64(line, finder))
    candidates.sort(key=lambda each: (each.start - each.end, order.index(each.spelling), each.start))
    kept: list[Found] = []
    for candidate in candidates:
        if all(candidate.end <= other.start or candidate.start >= other.end for other in kept):
            kept.append(candidate)
    return sorted(kept)


def _decoded(line: str) -> Iterator[tuple[Spelling, bytes, Sequence[int]]]:
    """The line's bytes, and for each of them (and the end) the character that it comes from."""
    if line.isascii():
        yield Spelling.PLAIN, line.encode(), range(len(line) + 1)
    else:
        yield Spelling.PLAIN, *_units(((character, at) for at, character in enumerate(line)), len(line))
    for spelling, escape in ESCAPES.items():
        if escape.search(line):
            yield spelling, *_units(_unescaped(line, spelling, escape), len(line))


def _unescaped(line: str, spelling: Spelling, escape: re.Pattern[str]) -> Iterator[tuple[str | bytes, int]]:
    at = 0
    while at < len(line):
        match = escape.match(line, at)
        if match is None:
            yield line[at], at
            at += 1
            continue
        inner = next(group for group in match.groups() if group)
        if spelling is Spelling.URL:
            yield bytes([int(inner, 16)]), at
        elif spelling is Spelling.BACKSLASH and len(inner) > 1:
            yield chr(int(inner[1:], 16)), at
        else:
            yield inner[0], at
        at = match.end()


def _units(units: Iterable[tuple[str | bytes, int]], end: int) -> tuple[bytes, list[int]]:
    decoded, places = bytearray(), []
    for unit, at in units:
        data = unit if isinstance(unit, bytes) else unit.encode(errors="surrogatepass")
        decoded += data
        places += [at] * len(data)
    return bytes(decoded), [*places, end]


def _in_base64(line: str, finder: Finder) -> Iterator[Found]:
    for token in BASE64.finditer(line):
        if (decoded := decode(token[0])) is None:
            continue
        for match in finder.find(decoded):
            yield Found(token.start(), token.end(), match.print, Spelling.BASE64, _text(decoded, match))


def _text(decoded: bytes, match: Match) -> str:
    return decoded[match.start : match.end].decode(errors="replace")


def decode(token: str) -> bytes | None:
    """Base64, its padding there or not; None when it is none."""
    bare = token.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
