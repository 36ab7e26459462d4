"""Where the repository is worked on: its clone in a private folder, the store, and Ansible with the password."""

from __future__ import annotations

import os
import secrets
import shlex
from functools import cached_property
from typing import Any

import yaml

from infra_ops.clients.ansible_tools import AnsibleTools
from infra_ops.clients.git import Clone, DeployKey, File
from infra_ops.clients.kv import Fields, Kv
from infra_ops.clients.vault import Vault
from infra_ops.clients.versions import Versions
from infra_ops.facts import fingerprints
from infra_ops.models.inventory import Inventory
from infra_ops.models.problems import Refusal
from infra_ops.models.repository import Repository
from infra_ops.operations.repository.kinds import ENCRYPTED, Kind, kind_of
from infra_ops.operations.repository.papers import CLIENT, filled


def repository_of(inventory: Inventory) -> Repository:
    """The section of the inventory. Raises Refusal when there is none."""
    if inventory.repository is None:
        raise Refusal("The inventory names no repository: add the section `repository` to include/cluster.yaml.")
    return inventory.repository


class Workshop:
    """Made anew for every task; nothing is cloned or asked before it is needed."""

    def __init__(self, inventory: Inventory) -> None:
        self.repository = repository_of(inventory)
        self.mount = inventory.store.mount
        self.author = f"infra-ops <infra-ops@{inventory.name}.invalid>"
        self._vault = Vault()
        self.kv = Kv(self._vault, self.mount)
        self.versions = Versions(self._vault, self.mount)

    @cached_property
    def clone(self) -> Clone:
        """The repository. Raises Refusal when the store has no deploy key of that name."""
        return Clone(self.repository.url, self._deploy_key(), self.author)

    @cached_property
    def remembered(self) -> fingerprints.Remembered:
        """All values that are known."""
        return fingerprints.read(self.kv, self.versions)

    @property
    def ansible(self) -> AnsibleTools:
        """With the password from the store, by the same program that the repository gets."""
        client = self.clone.home / "store" / CLIENT.name
        client.parent.mkdir(exist_ok=True)
        client.write_text(filled(CLIENT, self.repository, self.mount))
        client.chmod(0o700)
        environment = {name: value for name in ("VAULT_ADDR", "VAULT_CACERT") if (value := os.environ.get(name))} | {
            "VAULT_TOKEN": str(self._vault.client().token)
        }
        return self._ansible(client, environment)

    @cached_property
    def provisional(self) -> AnsibleTools:
        """With a password of its own, as long as the store has none: for the proof before anything is written."""
        password = self.clone.home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(32))
        client = self.clone.home / "provisional-client"
        client.write_text(f"#!/bin/sh\nexec cat {shlex.quote(str(password))}\n")
        client.chmod(0o700)
        return self._ansible(client, {})

    def _ansible(self, client: os.PathLike[str], environment: dict[str, str]) -> AnsibleTools:
        home = self.clone.home / "ansible"
        home.mkdir(exist_ok=True)
        folder = self.clone.folder / self.repository.ansible
        return AnsibleTools(folder, home, self.repository.label, self.clone.home / client, environment)

    @property
    def password_path(self) -> str:
        """In the store."""
        return f"ansible/password/{self.repository.label}"

    @property
    def home_path(self) -> str:
        """The vault's second home, in the store."""
        return f"ansible/vault/{self.repository.label}"

    def home(self) -> Fields | None:
        """What the second home holds: field `file`."""
        return self.kv.read_fields(self.home_path)

    def opened(self, text: str) -> dict[str, Any]:
        """The variables of an encrypted file, as YAML has them: whoever put one there may have made it a list.

        Raises NotOurVault, and Refusal when it is none of ours.
        """
        header = f"{ENCRYPTED.decode()}1.2;AES256;{self.repository.label}"
        first = text.partition("\n")[0]
        if not first.startswith(ENCRYPTED.decode()):
            raise Refusal(f"{self.repository.vault_file} is there and not encrypted: move it, or encrypt it yourself.")
        if first != header:
            raise Refusal(
                f"{self.repository.vault_file} is encrypted under another label than {self.repository.label!r}: rekey "
                "it, or name its label in the inventory."
            )
        if self.kv.read_fields(self.password_path) is None:
            raise Refusal(
                f"{self.repository.vault_file} is encrypted already, and the store has no password for it: store it "
                f"at {self.password_path}, field password."
            )
        values = yaml.safe_load(self.ansible.decrypt(text)) or {}
        return {str(name): value for name, value in values.items()}

    def playbooks(self, tree: dict[str, File]) -> list[str]:
        """From Ansible's folder."""
        return self._of_kind(tree, Kind.PLAYBOOK)

    def inventories(self, tree: dict[str, File]) -> list[str]:
        """The same."""
        return self._of_kind(tree, Kind.INVENTORY, Kind.INI)

    def _of_kind(self, tree: dict[str, File], *kinds: Kind) -> list[str]:
        folder = self.repository.ansible
        return [
            path.removeprefix(f"{folder}/")
            for path, file in tree.items()
            if path.startswith(f"{folder}/")
            and kind_of(path, (file.data or b"").decode(errors="replace"), folder) in kinds
        ]

    def _deploy_key(self) -> DeployKey | None:
        if (name := self.repository.deploy_key) is None:
            return None
        path = f"ansible/deploy-key/{name}"
        found = self.kv.read_fields(path)
        if found is None or not {"private_key", "known_hosts"} <= found.values.keys():
            raise Refusal(f"The store has no deploy key at {path} (fields private_key and known_hosts).")
        return DeployKey(found.values["private_key"], found.values["known_hosts"])
