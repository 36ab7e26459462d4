"""The continue tokens of paged lists: where the next page starts, and which revision it shows."""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

from lab.apiserver import errors

VERSION = "meta.k8s.io/v1"
LATEST = -1  # a token given out with 410 Expired goes on in the newest state


class Position(NamedTuple):
    """``start`` is the first key that belongs to the page, relative to the list's prefix."""

    revision: int
    start: str


def encode(position: Position) -> str:
    text = json.dumps({"v": VERSION, "rv": position.revision, "start": position.start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(token: str) -> Position:
    """Raises ApiError 400 for anything that ``encode`` did not make."""
    try:
        found = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if found["v"] != VERSION:
            raise ValueError
        return Position(int(found["rv"]), str(found["start"]))
    except (ValueError, KeyError, TypeError):
        raise errors.bad_request("continue key is not valid: the token was not issued by this server") from None
