"""Versions and snapshots of K3s: from its command line on a server, and from its API.

https://docs.k3s.io/cli/etcd-snapshot
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from infra_ops.models.k3s import Snapshot

if TYPE_CHECKING:  # the parsers are used where importing the client would cost too much
    from infra_ops.clients.kubernetes import Cluster


class UnreadableOutput(ValueError):
    """A command answered something that it is not known to answer."""


def api_version(cluster: Cluster) -> str:
    """The API server's own version, for example `v1.32.2+k3s1`. Raises `ClusterError`."""
    return str(cluster.get("/version")["gitVersion"])


def parse_version(text: str) -> str:
    """The version in what `k3s --version` prints. Raises `UnreadableOutput`."""
    found = re.match(r"k3s version (\S+)", text)
    if not found:
        raise UnreadableOutput(f"`k3s --version` printed {text[:80]!r}, not `k3s version …`")
    return found[1]


def parse_snapshots(text: str) -> list[Snapshot]:
    """The rows of the table that `k3s etcd-snapshot ls` prints, newest first. Raises `UnreadableOutput`."""
    header, *rows = [line.split() for line in text.splitlines() if line.strip()] or [[]]
    if header != ["Name", "Location", "Size", "Created"]:
        raise UnreadableOutput(f"`k3s etcd-snapshot ls` printed {text[:80]!r}, not its table")
    return sorted(map(_snapshot, rows), key=lambda snapshot: snapshot.created, reverse=True)


def _snapshot(row: list[str]) -> Snapshot:
    try:
        name, location, size, created = row
        return Snapshot(name, location, int(size), datetime.fromisoformat(created))
    except ValueError as error:
        raise UnreadableOutput(f"`k3s etcd-snapshot ls` printed the row {' '.join(row)!r}: {error}") from error
