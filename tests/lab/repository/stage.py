"""A repository on a server, people who work in it, and runs of the operations on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra_ops.clients.effects import Effects
from infra_ops.clients.kv import Kv
from infra_ops.clients.vault import StoreError
from infra_ops.clients.versions import Versions
from infra_ops.models.credentials import Credential
from infra_ops.models.inventory import Inventory
from infra_ops.models.outcomes import Outcome
from infra_ops.models.plans import Plan
from infra_ops.operations.actions import carry_out
from infra_ops.operations.operation import Request
from infra_ops.operations.repository.scanning import ScanSecrets
from infra_ops.operations.repository.vaulting import BRANCH, AnsibleVault
from tests.lab.repository.fixture import VALUES
from tests.lab.rotation.stage import Pages, RootVault, inventory

__all__ = ["BRANCH", "RootVault", "Stage"]


@dataclass
class Stage:
    origin: Path
    work: Path
    kv: Kv
    versions: Versions
    mount: str
    token: str
    vault: str = "ignored"
    journal: Pages = field(default_factory=Pages)

    @property
    def inventory(self) -> Inventory:
        section = {"url": str(self.origin), "vault": self.vault}
        return inventory("default", {}, store={"mount": self.mount}, repository=section)

    def set_up(self, tree: dict[str, str]) -> None:
        """One commit of the whole tree, and every credential of which a value stands in it adopted."""
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.origin)], check=True)
        self.work.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(self.origin))
        self.write(tree)
        self.commit("As it grew")
        for name, value in VALUES.items():
            if any(value in text for text in tree.values()):
                self._adopt(name, value)

    def _adopt(self, name: str, value: str) -> None:
        """A new mount refuses requests for about a second."""
        deadline = time.monotonic() + 20
        while True:
            try:
                self.kv.write(f"svc/{name}", Credential("admin", value), replaces=0)
            except StoreError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def encrypt(self, password: str, label: str, text: str = "vault_other: value\n") -> None:
        """Somebody has a vault already, with this password and label."""
        file, secret = self.work / "ansible/vars/vault.yml", self.work.parent / "password"
        file.parent.mkdir(exist_ok=True)
        secret.write_text(password)
        argv = [
            str(Path(sys.executable).with_name("ansible-vault")),
            "encrypt",
            "--vault-id",
            f"{label}@{secret}",
            "--output",
            str(file),
            "-",
        ]
        subprocess.run(argv, input=text.encode(), check=True, capture_output=True)
        self.commit("A vault")

    def merge(self) -> None:
        """A person takes the proposal over."""
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "main")
        self.git("merge", "-q", "--ff-only", f"origin/{BRANCH}")
        self.git("push", "-q", "origin", "main", f":{BRANCH}")

    def message(self, branch: str) -> str:
        """Of the newest commit."""
        return self._ask("log", "-1", "--format=%B", branch)

    def count(self, branch: str) -> int:
        """How many commits a branch has that main has not."""
        return int(self._ask("rev-list", "--count", f"main..{branch}"))

    def _ask(self, *arguments: str) -> str:
        argv = ["git", "--git-dir", str(self.origin), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def git(self, *arguments: str) -> str:
        """In the working copy of somebody else."""
        who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        argv = ["git", "-c", "core.autocrlf=false", *arguments]
        result = subprocess.run(argv, cwd=self.work, capture_output=True, env={**os.environ, **who})
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout.decode()

    def write(self, files: dict[str, str]) -> None:
        """Into the working copy."""
        for path, text in files.items():
            file = self.work / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())

    def commit(self, message: str, branch: str = "main") -> str:
        """All of the working copy, pushed."""
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self.git("push", "-q", "origin", f"HEAD:{branch}")
        return self.git("rev-parse", "HEAD").strip()

    def branch(self, name: str = BRANCH) -> str:
        """Its commit on the server, "" for none."""
        argv = ["git", "--git-dir", str(self.origin), "rev-parse", "--verify", "-q", f"refs/heads/{name}"]
        return subprocess.run(argv, capture_output=True, text=True).stdout.strip()

    def files(self, branch: str) -> dict[str, bytes]:
        """All files of a branch on the server."""
        argv = ["git", "--git-dir", str(self.origin), "ls-tree", "-r", "-z", "--name-only", branch]
        names = subprocess.run(argv, capture_output=True, check=True).stdout.decode().split("\0")
        show = ["git", "--git-dir", str(self.origin), "show"]
        return {
            name: subprocess.run([*show, f"{branch}:{name}"], capture_output=True, check=True).stdout
            for name in names
            if name
        }

    def plan(self, **params: Any) -> Plan:
        """What a run would do."""
        operation = AnsibleVault(Request("ansible_vault/1", params, self.inventory))
        operation.preflight()
        return operation.work().plan("ansible_vault")

    def apply(self, plan: Plan, effects: Effects | None = None) -> list[Outcome]:
        """Each group as a process of its own does it, then the measurement."""
        effects = effects or Effects(self.journal, still_allowed=lambda: None)
        request = Request("ansible_vault/1", {}, self.inventory, plan)
        for group in ("remember", "keep", "propose"):
            work = AnsibleVault(request).work()
            assert work.plan("ansible_vault").id == plan.id
            carry_out(work.groups[group], effects)
        return AnsibleVault(request).verify()

    def scan(self) -> list[Outcome]:
        """A run of scan_secrets."""
        started = ScanSecrets(Request("scan_secrets/1", {}, self.inventory))
        plan = started.work().plan("scan_secrets")
        operation = ScanSecrets(Request("scan_secrets/1", {}, self.inventory, plan))
        carry_out(operation.work().groups["remember"], Effects(self.journal, still_allowed=lambda: None))
        return operation.verify()
