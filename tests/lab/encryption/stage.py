"""The runbook secrets_encryption carried out without Airflow: as its tasks do it, each with an operation made anew."""

from __future__ import annotations

import base64
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra_ops.clients.effects import Effects
from infra_ops.clients.kv import Kv
from infra_ops.models.encryption import Key, Providers, configuration
from infra_ops.models.outcomes import Outcome, State
from infra_ops.models.plans import Plan
from infra_ops.operations.actions import carry_out, first_missing, refuse_third_states, take_back
from infra_ops.operations.encryption.keys import PATH
from infra_ops.operations.encryption.operation import SecretsEncryption
from infra_ops.operations.encryption.road import GROUPS
from infra_ops.operations.operation import Request
from tests.lab.servers_of_k3s import NAS, SERVERS, K3sCluster
from tests.lab.store.stage import Pages

NAME = "secrets_encryption"
FILE = "/etc/rancher/k3s/encryption-config.yaml"
DROP_IN = "/etc/rancher/k3s/config.yaml.d/99-secrets-encryption.yaml"


@dataclass
class Stage:
    k3s: K3sCluster
    kv: Kv
    journal: Pages = field(default_factory=Pages)
    said: list[str] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def operation(self, plan: Plan | None = None, **params: Any) -> SecretsEncryption:
        return SecretsEncryption(Request(f"{NAME}/test", params, self.k3s.inventory(), plan))

    def preflight(self, **params: Any) -> list[Outcome]:
        return self.operation(**params).preflight()

    def plan(self, **params: Any) -> Plan:
        work = self.operation(**params).work()
        refuse_third_states(work.actions())
        return work.plan(NAME)

    def run(self, effects: Effects | None = None, groups: tuple[str, ...] = GROUPS, **params: Any) -> Plan:
        """Preflight, plan and the groups, each as its task does it."""
        outcomes = self.preflight(**params)
        assert {outcome.state for outcome in outcomes} == {State.PASS}, bad(outcomes)
        plan = self.plan(**params)
        self.plans.append(plan)
        for group in groups:
            self.carry_out(plan, group, effects, **params)
        return plan

    def carry_out(self, plan: Plan, group: str, effects: Effects | None = None, **params: Any) -> None:
        work = self.operation(plan, **params).work()
        assert work.plan(NAME).id == plan.id
        for earlier in GROUPS[: GROUPS.index(group)]:
            assert first_missing(work.groups[earlier]) == ""
        carry_out(work.groups[group], effects or self.effects(), self.said.append)

    def undo(self, plan: Plan, effects: Effects | None = None) -> bool:
        actions = self.operation(plan).reversible()
        take_back(actions, effects or self.effects(), self.said.append)
        return bool(actions)

    def verify(self, plan: Plan, **params: Any) -> list[Outcome]:
        return self.operation(plan, **params).verify()

    def effects(self) -> Effects:
        return Effects(self.journal, still_allowed=lambda: None)

    def root(self, server: str, script: str) -> None:
        """Runs a script on a server as root."""
        done = self.k3s.ssh(server, f"sudo sh -ec '{script}'")
        assert done.returncode == 0, done.stderr

    def let_run(self, version: str) -> None:
        """As if that version were installed on every server, and running."""
        for server in SERVERS:
            self.k3s.disk(server, "/var/lib/lab/k3s-version").write_text(f"{version}\n")
            status = {"status": {"nodeInfo": {"kubeletVersion": version}}}
            self.k3s.rest().patch(f"/api/v1/nodes/{server}/status", status)

    def plant_a_key(self, server: str, letter: str, lists: Providers = ("identity", "key1")) -> None:
        """A configuration that somebody made by hand, under the name that ours has."""
        key = Key("key1", letter.encode() * 32, datetime.now(UTC))
        self.k3s.disk(server, FILE).write_text(configuration(lists, {"key1": key}))
        self.k3s.disk(server, FILE).chmod(0o600)
        drop_in = self.k3s.disk(server, DROP_IN)
        drop_in.parent.mkdir(exist_ok=True)
        drop_in.write_text(f"kube-apiserver-arg+:\n- encryption-provider-config={FILE}\n")
        self.root(server, "systemctl restart k3s")

    def make_secrets(self, count: int, namespace: str = "default") -> dict[str, dict[str, str]]:
        """What each of them holds."""
        rest = self.k3s.rest()
        values = {f"made-{n}": {"n": base64.b64encode(f"secret {n}".encode()).decode()} for n in range(count)}
        for name, data in values.items():
            metadata = {"name": name, "namespace": namespace}
            rest.create(f"/api/v1/namespaces/{namespace}/secrets", {"metadata": metadata, "data": data})
        return values

    def raw(self) -> Counter[str]:
        """By what how many stored Secrets were written."""
        return writers(self.k3s.api.database)

    def lists(self) -> dict[str, str]:
        """What each server's file lists, in words."""
        found = {}
        for server in SERVERS:
            file = self.k3s.disk(server, FILE)
            lines = file.read_text().splitlines() if file.exists() else []
            names = [line.split()[-1] for line in lines if "name:" in line or "identity" in line]
            found[server] = ", ".join("identity" if name == "{}" else name for name in names)
        return found

    def keys(self) -> list[str]:
        """The keys in the store."""
        stored = self.kv.read_fields(PATH)
        return sorted(stored.values) if stored else []

    def end_state(self) -> dict[str, Any]:
        """What a run leaves behind, in words that are equal after each."""
        folder = self.k3s.disk(NAS, str(self.k3s.inventory().off_cluster.path)) / "stratdata"  # type: ignore[union-attr]
        return {
            "lists": self.lists(),
            "raw": dict(self.raw()),
            "keys": self.keys(),
            "copies": sorted(_kind(path.name) for path in folder.iterdir()) if folder.exists() else [],
            "left to do": [step.id for step in self.plan().steps],
            "answers": {server: self.k3s.answers(server) for server in SERVERS},
        }


def bad(outcomes: list[Outcome]) -> list[str]:
    return [outcome.sentence() for outcome in outcomes if outcome.state is not State.PASS]


def writers(database: Path) -> Counter[str]:
    """By what how many Secrets in the API server's datastore were written: `plain`, or provider and key."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as store:
        rows = store.execute("SELECT value FROM kv WHERE key LIKE '/registry/secrets/%'")
        return Counter(_writer(bytes(value)) for (value,) in rows)


def _writer(value: bytes) -> str:
    if not value.startswith(b"k8s:enc:"):
        return "plain"
    provider, _, key = value.split(b":", 5)[2:5]
    return f"{provider.decode()}:{key.decode()}"


def _kind(name: str) -> str:
    return name.rstrip("0123456789") if name.startswith("before-") else name
