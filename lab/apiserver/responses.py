"""What goes back to a client: a status code and a body, whole or as a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from lab.apiserver.representation import encode

JSON = "application/json"


@dataclass(frozen=True)
class Response:
    """``stream`` replaces ``body`` where the end is not known yet; each of its items is sent at once."""

    code: int = 200
    body: bytes = b""
    content_type: str = JSON
    stream: AsyncGenerator[bytes, None] | None = None


def json_response(obj: Any, code: int = 200) -> Response:
    return Response(code, encode(obj))


def text(body: str, code: int = 200) -> Response:
    return Response(code, body.encode(), "text/plain; charset=utf-8")
