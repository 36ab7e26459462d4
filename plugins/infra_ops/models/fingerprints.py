"""Values that must not stand in a text, known by HMACs: who holds these can recognise a value and never tell it.

A window of each value's length slides over the text; only where its first characters may be those of a value is the
HMAC made. For that, 8 bits of a keyed hash of them are kept, too.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

SHORTEST = 3  # characters; what is shorter stands in every text
ALONE_BELOW = 6  # characters; shorter values, and mere words, count only where they stand alone
START = 3


@dataclass(frozen=True, order=True)
class Print:
    """What is kept of one value: its length in bytes, the HMAC, and 8 bits of its start."""

    length: int
    start: str
    mac: str

    def text(self) -> str:
        """One line, for the store."""
        return f"{self.length} {self.start} {self.mac}"

    @classmethod
    def of(cls, text: str) -> Print:
        """The print that `text` wrote. Raises ValueError."""
        length, start, mac = text.split(" ")
        return cls(int(length), start, mac)


@dataclass(frozen=True)
class Match:
    """Bytes `start` to `end` of a text are the value with this print."""

    start: int
    end: int
    print: Print


@dataclass(frozen=True)
class Fingerprints:
    """The key, and the credential that each print belongs to. `current` are the prints of values that are in use."""

    key: bytes = field(repr=False)
    names: Mapping[Print, str]
    current: frozenset[Print] = frozenset()

    def print_of(self, value: bytes) -> Print:
        """What is kept of a value. Raises ValueError when it is too short to be looked for."""
        return print_of(self.key, value)

    def with_values(self, values: Mapping[str, Iterable[str]]) -> Fingerprints:
        """These and more values, by credential."""
        more = {
            self.print_of(value.encode()): name
            for name, texts in values.items()
            for value in texts
            if len(value.encode()) >= SHORTEST
        }
        return Fingerprints(self.key, {**more, **self.names}, self.current)


def print_of(key: bytes, value: bytes) -> Print:
    """See Fingerprints.print_of."""
    if len(value) < SHORTEST:
        raise ValueError(f"a value of less than {SHORTEST} bytes cannot be looked for")
    return Print(len(value), _start(key, value[:START]), hmac.digest(key, value, "sha256").hex())


def _start(key: bytes, first: bytes) -> str:
    return hmac.digest(key, b"start:" + first, "sha256")[:1].hex()


class Finder:
    """Looks for all values of some fingerprints; remembers which starts are none."""

    def __init__(self, known: Fingerprints) -> None:
        self._key = known.key
        self._prints = {(each.length, each.mac): each for each in known.names}
        self._lengths: dict[str, set[int]] = {}
        for each in known.names:
            self._lengths.setdefault(each.start, set()).add(each.length)
        self._seen: dict[bytes, tuple[int, ...]] = {}

    def find(self, text: bytes) -> Iterator[Match]:
        """Every place of every value, also where they overlap."""
        for at in range(len(text) - SHORTEST + 1):
            first = text[at : at + START]
            lengths = self._seen.get(first)
            if lengths is None:
                lengths = self._seen[first] = tuple(sorted(self._lengths.get(_start(self._key, first), ())))
            for length in lengths:
                window = text[at : at + length]
                if len(window) < length:
                    continue
                mac = hmac.digest(self._key, window, "sha256").hex()
                found = self._prints.get((length, mac))
                if found and _counts(text, at, at + length):
                    yield Match(at, at + length, found)


def _counts(text: bytes, start: int, end: int) -> bool:
    """Short values and words, such as a password `postgres`, are parts of other words everywhere."""
    window = text[start:end]
    if len(window) >= ALONE_BELOW and not window.isalpha():
        return True
    around = text[max(0, start - 1) : start] + text[end : end + 1]
    return not any(chr(byte).isalnum() or byte in b"_-" for byte in around)
