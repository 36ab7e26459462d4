"""Encryption as K3s manages it on a server: what its Node, its files and its process say.

K3s' own `secrets-encrypt status` is not asked: before v1.32.5 that crashes a server that starts (k3s-io/k3s#12339), and
the annotation says the same. Of the file with the keys only names leave the server.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from infra_ops.facts.encryption import (
    CONFIG,
    DROP_INS,
    UnreadableServer,
    managed,
    manages,
    moment,
    parts_of_config,
)
from infra_ops.models.encryption import IDENTITY, Providers
from infra_ops.models.managed_encryption import Managed, writer
from infra_ops.models.servers import Unit

if TYPE_CHECKING:
    from infra_ops.clients.ssh import Machine

# As the role managed_encryption (include/ansible) writes it.
DROP_IN = f"{DROP_INS}/99-secrets-encryption-by-k3s.yaml"
FILE = "/var/lib/rancher/k3s/server/cred/encryption-config.json"
ANNOTATION = "k3s.io/encryption-config-hash"
# The unit; the digest of K3s' file and what it lists, in its order; every part of the K3s configuration after its name.
_LOOK = r"""
systemctl show k3s.service --timestamp=us+utc --property=ActiveState --property=ExecMainStartTimestamp
if [ -e "$1" ]; then sha256sum <"$1"; grep -oE '"(aescbc|secretbox|identity)":|"name": *"[^"]*"' "$1"; fi
for file in "$2" "$3"/*.yaml; do
  if [ -e "$file" ]; then printf '\036%s\n' "$file"; cat "$file"; fi
done
"""
_LISTED = re.compile(r'"(?:(aescbc|secretbox|identity)":|name": *"(.*)")')


def read_managed(machine: Machine, node: dict[str, Any]) -> Managed:
    """All of it for one server; `node` is its Node object. Raises Unreachable, CommandFailed and UnreadableServer."""
    told = machine.run("sudo", "sh", "-c", _LOOK, "sh", FILE, CONFIG, DROP_INS).text
    head, *rest = told.split("\x1e")
    stage, _, noted = (node["metadata"].get("annotations") or {}).get(ANNOTATION, "").partition("-")
    unit, sha256, listed = _parse(machine.name, head)
    switched_by = managed(parts_of_config(machine.name, rest))
    return Managed(machine.name, stage, noted, listed, sha256, switched_by, manages(node), unit)


def _parse(server: str, text: str) -> tuple[Unit, str, Providers]:
    try:
        state, started, *rest = text.splitlines()
        if not (state.startswith("ActiveState=") and started.startswith("ExecMainStartTimestamp=")):
            raise ValueError(state)
        unit = Unit(state.removeprefix("ActiveState="), moment(started.partition("=")[2]))
    except ValueError:
        raise UnreadableServer(f"{server} told of its encryption what cannot be read: {text[:80]!r}.") from None
    return unit, rest[0].partition(" ")[0] if rest else "", listed(rest[1:])


def listed(lines: list[str]) -> Providers:
    """The providers of an EncryptionConfiguration in their order, by the lines that name them and their keys."""
    found, provider = [], ""
    for line in lines:
        match = _LISTED.fullmatch(line)
        if match is None:
            continue
        provider = match[1] or provider
        if match[1] == IDENTITY:
            found.append(IDENTITY)
        elif match[2]:
            found.append(writer(provider, match[2]))
    return tuple(found)
