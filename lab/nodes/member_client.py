"""How commands on a node speak to members of the datastore (lab/apiserver/memberport.py). Standard library only."""

import json
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.nodes import hosts
from lab.nodes.places import LAB

PORTS = LAB / "members.json"  # where the members are: node's name -> port on 127.0.0.1
_SECONDS = 60.0


class Unreachable(Exception):
    """The member gave no answer; the text says why."""


def is_there(root: Path) -> bool:
    """Whether this server has a datastore at all."""
    return (root / PORTS).exists()


def ask(root: Path, endpoint: str, files: tuple[str, str, str], question: dict[str, Any]) -> dict[str, Any]:
    """The answer of the member at `endpoint`, with (CA, certificate, key). Raises Unreachable, or OSError for files."""
    authority, certificate, key = files
    url = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    if url.scheme != "https":
        raise Unreachable("error reading server preface: EOF")  # etcd speaks TLS only here
    context = ssl.create_default_context(cafile=authority or None)
    if certificate:
        context.load_cert_chain(certificate, key)
    port = (
        json.loads((root / PORTS).read_text()).get(hosts.name_of(root, url.hostname or "")) if is_there(root) else None
    )
    if not port or (url.port or 2379) != 2379:
        raise Unreachable(f"dial tcp {url.hostname}:{url.port or 2379}: connect: connection refused")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=url.hostname) as stream,
        ):
            stream.sendall(json.dumps(question).encode() + b"\n")
            told = b"".join(iter(lambda: stream.recv(1 << 20), b""))
    except ssl.SSLError as error:
        raise Unreachable(f"authentication handshake failed: {error.reason or error}") from None
    except OSError as error:
        raise Unreachable(f"dial tcp {url.hostname}:2379: connect: {(error.strerror or str(error)).lower()}") from None
    if not told:
        raise Unreachable("error reading server preface: remote error: tls: certificate required")
    answer: dict[str, Any] = json.loads(told)
    return answer
