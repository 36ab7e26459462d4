"""The datastore of a server: its own etcd member, asked on the server itself.

https://docs.k3s.io/advanced#using-etcdctl
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from infra_ops.models.encryption import IDENTITY
from infra_ops.models.managed_encryption import writer
from infra_ops.models.problems import Problem

if TYPE_CHECKING:
    from infra_ops.clients.ssh import Machine

TLS = "/var/lib/rancher/k3s/server/tls/etcd"
ETCDCTL = (
    *("sudo", "env", "ETCDCTL_API=3", "/usr/local/bin/etcdctl", "--endpoints=https://127.0.0.1:2379"),
    *(f"--cacert={TLS}/server-ca.crt", f"--cert={TLS}/client.crt", f"--key={TLS}/client.key"),
)
SECRETS = "/registry/secrets/"
MARK = b"k8s:enc:"
# Up to the next colon, but for the moment in what K3s calls a key: aescbckey-2026-03-09T09:46:54+01:00
NAME = re.compile(rb"[^:]*-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)(?=:)|[^:]*")
# Of each value only the beginning leaves the server: 60 bytes, enough for the name of a key and too few for a secret
# behind the head of an object. `--consistency=s` reads what this member has, not what the leader says.
_SCAN = """
set -o pipefail
"$@" get "$0" --prefix --consistency=s -w json | tr ',' '\\n' | sed -nE '
s/.*"key":"([^"]*)".*/\\1/p
s/.*"value":"([^"]{0,80})[^"]*".*/=\\1/p'
"""


class UnreadableDatastore(Problem):
    """etcdctl told something that it is not known to tell."""


def has_etcdctl(machine: Machine) -> bool:
    """Whether the server has the command that all others here need."""
    return machine.ask("test", "-x", "/usr/local/bin/etcdctl").status == 0


def written_by(machine: Machine, prefix: str = SECRETS) -> dict[str, str]:
    """By what each stored Secret was written, by its key: `identity`, the name of a key, or of other providers
    `<provider>:<key name>`.

    From the bytes of this server's own member. Raises Unreachable, CommandFailed and UnreadableDatastore.
    """
    answer = machine.run("bash", "-c", _SCAN, prefix, *ETCDCTL, seconds=300)
    return parse_scan(machine.name, answer.text.splitlines())


def parse_scan(server: str, lines: Iterable[str]) -> dict[str, str]:
    """Pairs of a key and, after `=`, the beginning of its value, both in base64."""
    found: dict[str, str] = {}
    key = ""
    for line in lines:
        try:
            if not line.startswith("="):
                key = base64.b64decode(line, validate=True).decode()
            elif key:
                start = line[1:]
                found[key] = _writer(base64.b64decode(start[: len(start) // 4 * 4]))
        except ValueError:
            raise UnreadableDatastore(f"etcdctl on {server} told what is no base64: {line[:20]!r}.") from None
    return found


def _writer(start: bytes) -> str:
    """`k8s:enc:<provider>:v1:<key name>:`, where K3s' own names of keys hold colons."""
    if not start.startswith(MARK):
        return IDENTITY
    provider, _, rest = start.removeprefix(MARK).partition(b":v1:")
    found = NAME.match(rest)
    return writer(provider.decode(errors="replace"), found[0].decode(errors="replace") if found else "")


def counted(found: dict[str, str]) -> Counter[str]:
    """How many Secrets by what they were written."""
    return Counter(found.values())


def revision(machine: Machine) -> int:
    """The newest revision that this member has."""
    return _status(machine)[0]


def leads(machine: Machine) -> bool:
    """Whether this member is the leader."""
    _, member, leader = _status(machine)
    return member == leader


def _status(machine: Machine) -> tuple[int, int, int]:
    """Revision, the member's own id, and the leader's as it knows it."""
    answer = machine.run(*ETCDCTL, "endpoint", "status", "-w", "json")
    try:
        found = json.loads(answer.text)[0]["Status"]
        return int(found["header"]["revision"]), int(found["header"]["member_id"]), int(found["leader"])
    except (ValueError, LookupError, TypeError):
        raise UnreadableDatastore(f"`etcdctl endpoint status` on {machine.name} told {answer.text[:80]!r}.") from None
