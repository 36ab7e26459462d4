"""The kinds of names, addresses and numbers that the inventory is made of."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?")


def _host(value: str) -> str:
    """A host name (RFC 1123), or an IP address: what ends in a number is no name (RFC 3696)."""
    labels = value.split(".")
    if ":" in value or labels[-1].isdigit():
        good = _is_ip_address(value)
    else:
        good = len(value) <= 253 and all(map(LABEL.fullmatch, labels))
    if not good:
        raise ValueError(f"found {value[:60]!r}; allowed are an IP address and a host name")
    return value


def _is_ip_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _url(value: str) -> str:
    """Scheme, host and port, and nothing behind them: whoever uses it appends its own paths."""
    if "@" in value:
        raise ValueError("a URL here holds no login; allowed are scheme, host and port")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port above 65535, a bracket that is not closed
        host, port = "", None
    shown = f"[{host}]" if ":" in host else host
    plain = f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}" if host else ""
    if value.lower() != plain:
        raise ValueError(f"found {value[:60]!r}; allowed are scheme, host and port, such as https://nas.lan:5001")
    _host(host)
    return value


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
RoleName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$", max_length=63)]
DatabaseName = Annotated[str, Field(pattern=r"^[A-Za-z_][-A-Za-z0-9_]*$", max_length=63)]
SecretKey = Annotated[str, Field(pattern=r"^[-._A-Za-z0-9]+$", max_length=253)]
ConnectionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=250)]
Title = Annotated[str, Field(min_length=1)]
Days = Annotated[int, Field(ge=1, le=366)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
SshUser = Annotated[str, Field(pattern=r"^[a-z_][-a-z0-9_]*$", max_length=32)]
AbsolutePath = Annotated[str, Field(pattern=r"^(/[-._A-Za-z0-9]+)+$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+$"), AfterValidator(_url)]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s/]+$"), AfterValidator(_url)]
