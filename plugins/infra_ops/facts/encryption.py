"""What of encryption at rest there is on a server: its files, its process, and what its API took over.

Reading changes nothing and shows no key: of the file with the keys only names leave the server.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from infra_ops.models.problems import Problem
from infra_ops.models.servers import Encrypting, File, Unit

if TYPE_CHECKING:
    from infra_ops.clients.kubernetes import Cluster
    from infra_ops.clients.ssh import Machine

# As the role encryption_config (include/ansible) writes them.
FILE = "/etc/rancher/k3s/encryption-config.yaml"
CONFIG = "/etc/rancher/k3s/config.yaml"
DROP_INS = "/etc/rancher/k3s/config.yaml.d"
DROP_IN = f"{DROP_INS}/99-secrets-encryption.yaml"
FLAG = "encryption-provider-config"
NODE_ARGS = "k3s.io/node-args"
RELOADED = re.compile(
    r"^apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds\{(.*)\} (\S+)$", re.MULTILINE
)
# One line a file: its state and digest, or `absent`. Then the unit, and of the keys' file the names in their order. At
# last every part of the K3s configuration, after a line with its name.
_LOOK = r"""
for file in "$1" "$2"; do
  if [ -e "$file" ]; then echo "$(stat -c '%a %U:%G %.9Y' "$file") $(sha256sum <"$file")"; else echo absent; fi
done
systemctl show k3s.service --timestamp=us+utc --property=ActiveState --property=ExecMainStartTimestamp
if [ -e "$1" ]; then sed -nE 's/^ *- *(identity):.*/- \1/p; s/^ *- *name: *//p' "$1"; fi
for file in "$3" "$4"/*.yaml; do
  if [ -e "$file" ]; then printf '\036%s\n' "$file"; cat "$file"; fi
done
"""


class UnreadableServer(Problem):
    """A server told something that it is not known to tell."""


def read_encryption(machine: Machine, api: Cluster | None, node: dict[str, Any]) -> Encrypting:
    """All of it for one server. `api` is the server's own, None while it does not answer; `node` is its Node object.

    Raises Unreachable, CommandFailed, ClusterError and UnreadableServer.
    """
    told = machine.run("sudo", "sh", "-c", _LOOK, "sh", FILE, DROP_IN, CONFIG, DROP_INS).text
    head, *rest = told.split("\x1e")
    file, drop_in, unit, providers = _parse(machine.name, head)
    parts = parts_of_config(machine.name, rest)
    started_with = file_started_with(node)
    return Encrypting(
        server=machine.name,
        file=file,
        providers=providers,
        drop_in=drop_in,
        unit=unit,
        started_with=started_with,
        reloaded=reloaded(api.text("/metrics")) if started_with and api else 0.0,
        foreign=foreign(parts),
        managed=managed(parts) or (NODE_ARGS if manages(node) else ""),
    )


def file_started_with(node: dict[str, Any]) -> str:
    """The EncryptionConfiguration that K3s on this node gave its API server when it started; "" for none."""
    for word in _arguments(node):
        name, _, value = word.rpartition("kube-apiserver-arg=")[2].removeprefix("--").partition("=")
        if name == FLAG:
            return value
    return ""


def manages(node: dict[str, Any]) -> bool:
    """Whether K3s on this node was started with `secrets-encryption`; the last mention counts."""
    words, found = _arguments(node), False
    for word, after in zip(words, [*words[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name == "--secrets-encryption":
            found = (value or after) != "false"
    return found


def _arguments(node: dict[str, Any]) -> list[str]:
    found = json.loads((node["metadata"].get("annotations") or {}).get(NODE_ARGS, "[]"))
    return [str(word) for word in found]


def reloaded(metrics: str) -> float:
    """When the API server last took over a changed file; 0 for never. Others than itself are not in its metrics."""
    times = [float(value) for labels, value in RELOADED.findall(metrics) if 'status="success"' in labels]
    return max(times, default=0.0)


def foreign(parts: dict[str, dict[str, Any]]) -> str:
    """What of the K3s configuration besides our own part would spoil it; "" for nothing."""
    for name, content in parts.items():
        if name == DROP_IN:
            continue
        for key in ("kube-apiserver-arg", "kube-apiserver-arg+"):
            values = content.get(key) or []
            for value in values if isinstance(values, list) else [values]:
                if str(value).removeprefix("--").startswith(FLAG):
                    return f"{name} has a {FLAG} of its own"
        if name > DROP_IN and name != CONFIG and "kube-apiserver-arg" in content:
            return f"{name} replaces kube-apiserver-arg of the parts before it (write kube-apiserver-arg+ there)"
    return ""


def managed(parts: dict[str, dict[str, Any]]) -> str:
    """The part that has K3s manage encryption by itself (`secrets-encryption: true`); the last that says anything."""
    said = [(name, content["secrets-encryption"]) for name, content in parts.items() if "secrets-encryption" in content]
    return said[-1][0] if said and said[-1][1] is True else ""


def _parse(server: str, text: str) -> tuple[File | None, File | None, Unit, tuple[str, ...]]:
    try:
        first, second, state, started, *names = text.splitlines()
        if not (state.startswith("ActiveState=") and started.startswith("ExecMainStartTimestamp=")):
            raise ValueError(state)
        unit = Unit(state.removeprefix("ActiveState="), moment(started.partition("=")[2]))
        return _file(first), _file(second), unit, tuple(name.removeprefix("- ") for name in names)
    except ValueError:
        raise UnreadableServer(f"{server} told of its encryption what cannot be read: {text[:80]!r}.") from None


def moment(shown: str) -> float:
    """Seconds since 1970 with their fractions: a file may be changed and its reader started within one second."""
    return datetime.strptime(shown, "%a %Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC).timestamp() if shown else 0.0


def _file(line: str) -> File | None:
    if line == "absent":
        return None
    mode, owner, changed, digest, _ = line.split()
    return File(mode, owner, digest, float(changed))


def parts_of_config(server: str, blocks: list[str]) -> dict[str, dict[str, Any]]:
    """K3s' configuration by file; it may hold tokens, which stay here."""
    parts = {}
    for block in blocks:
        name, _, content = block.partition("\n")
        try:
            parts[name] = yaml.safe_load(content) or {}
        except yaml.YAMLError:
            raise UnreadableServer(f"{name} on {server} is no YAML: K3s cannot read it either.") from None
    return parts
