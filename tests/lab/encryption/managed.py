"""A cluster whose K3s encrypts by itself: what its servers say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra_ops.facts import etcd
from infra_ops.models.managed_encryption import Managed as Seen
from infra_ops.operations.encryption import managed
from infra_ops.operations.encryption.estate import Estate
from tests.lab.encryption.stage import Stage
from tests.lab.servers_of_k3s import NAS, SERVERS

MANAGES = "v1.35.3+k3s1"
DROP_IN = "/etc/rancher/k3s/config.yaml.d/99-secrets-encryption-by-k3s.yaml"


@dataclass
class Managed:
    stage: Stage

    def seen(self) -> dict[str, Seen]:
        return managed.look_at_all(Estate(self.stage.k3s.inventory()))

    def key(self) -> str:
        """The newest key in use, `aescbc:…`."""
        return managed.key_in_use(self.seen())

    def lists(self) -> dict[str, tuple[str, ...]]:
        """What K3s works by on each server."""
        return {name: seen.listed if seen.in_process else () for name, seen in self.seen().items()}

    def restarts(self) -> list[str]:
        """The servers in the order in which they were to be restarted."""
        return [line.split()[-1] for line in self.stage.journal.lines if ": restart K3s on " in line]

    def leader(self) -> str:
        """etcd's."""
        servers = Estate(self.stage.k3s.inventory()).servers
        return next(name for name in servers.names if etcd.leads(servers.machine(name)))

    def end_state(self) -> dict[str, Any]:
        """What a run leaves behind, in words that are equal after each."""
        stage, key = self.stage, self.key()
        folder = stage.k3s.disk(NAS, str(stage.k3s.inventory().off_cluster.path)) / "stratdata"  # type: ignore[union-attr]
        return {
            "lists": {tuple(name.replace(key, "key") for name in listed) for listed in self.lists().values()},
            "hashes": len({seen.noted for seen in self.seen().values()}),
            "raw": {head.partition("-")[0] for head in stage.raw()},
            "switched": {name for name in SERVERS if stage.k3s.disk(name, DROP_IN).exists()},
            "keys": stage.keys(),
            "token": (folder / "server-token").exists(),
            "left to do": [step.id for step in stage.plan().steps],
            "answers": {server: stage.k3s.answers(server) for server in SERVERS},
        }
