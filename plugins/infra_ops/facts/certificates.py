"""The certificates of K3s on a node, read from its files. Keys stay where they are.

By their files and not by `k3s certificate check`: its table changes with the version, names files without their
folders, and older versions have none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from infra_ops.facts.k3s import UnreadableOutput, parse_version
from infra_ops.models.certificates import AUTHORITIES, DATA, OF_AGENTS, OF_SERVERS, Certificate, NodeCertificates
from infra_ops.models.problems import Problem

if TYPE_CHECKING:
    from infra_ops.clients.ssh import Machine

# The first certificate of a file is the leaf; its authority follows. Only what stands between BEGIN and END is shown.
_READ = r"""
unit=$1; shift
systemctl show "$unit.service" --timestamp=unix --property=ActiveState --property=ExecMainStartTimestamp
k3s --version | head -n 1
for file; do
  [ -e "$file" ] || continue
  echo "file $file"
  sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p; /END CERTIFICATE/q' "$file"
done
"""
ENDS = "-----END CERTIFICATE-----"


class UnreadableNode(Problem):
    """A node told of its certificates what cannot be read."""


def read_node(machine: Machine, role: str) -> NodeCertificates:
    """All of a node with that role. Raises Unreachable, CommandFailed and UnreadableNode."""
    unit, names = ("k3s", (*OF_SERVERS, *AUTHORITIES)) if role == "server" else ("k3s-agent", OF_AGENTS)
    answer = machine.run("sudo", "sh", "-c", _READ, "sh", unit, *(f"{DATA}/{name}" for name in names))
    return parse(machine.name, answer.text)


def parse(node: str, text: str) -> NodeCertificates:
    """What the command above printed."""
    head, *parts = re.split("^file ", text, flags=re.MULTILINE)
    try:
        found = [_certificate(part) for part in parts]
        state, started, version = head.splitlines()
        since = _time(state, started)
        told = NodeCertificates(
            node,
            leaves=tuple(each for each in found if each.name not in AUTHORITIES),
            authorities=tuple(each for each in found if each.name in AUTHORITIES),
            started=since,
            version=parse_version(version),
        )
    except (ValueError, UnreadableOutput) as error:
        raise UnreadableNode(f"{node} told of its certificates what cannot be read: {error}.") from None
    if not told.leaves:
        raise UnreadableNode(f"{node} has no certificate of K3s below {DATA}.")
    return told


def _certificate(part: str) -> Certificate:
    path, _, pem = part.partition("\n")
    if ENDS not in pem:
        raise ValueError(f"{path} holds no certificate")
    return Certificate(path.removeprefix(f"{DATA}/"), x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc)


def _time(state: str, started: str) -> datetime | None:
    if not (state.startswith("ActiveState=") and started.startswith("ExecMainStartTimestamp=")):
        raise ValueError(f"systemctl said {state[:40]!r}")
    seconds = started.partition("=@")[2]
    return datetime.fromtimestamp(float(seconds), UTC) if seconds and state == "ActiveState=active" else None
