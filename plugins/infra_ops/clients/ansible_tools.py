"""Ansible's command line in a checkout: encrypts, decrypts, checks playbooks. No value is ever an argument.

https://docs.ansible.com/ansible/latest/vault_guide/vault_managing_passwords.html
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra_ops.clients.rendering import Order
from infra_ops.models.problems import Problem, Refusal

SECONDS = 600
COMMANDS = Path(sysconfig.get_path("scripts"))


class AnsibleFailed(Problem):
    """A command of Ansible failed; the sentence has its own words where they can hold no value."""


class NotOurVault(Refusal):
    """A file cannot be decrypted with the password and label that the store has."""


@dataclass(frozen=True)
class AnsibleTools:
    """Runs with the vault's password from `client`, a program that prints it for `label`.

    `check_syntax` and `render` run in `folder`, a checkout, by its ansible.cfg, and with it code of whoever may push
    there: look-ups, plugins, inventories that are programs. `encrypt` and `decrypt` run in `home` and touch none of it.
    `environment` is what the client needs. Ansible takes the client's source for the password when its execute bit is
    missing, and never tells it the label when its name does not end in `-client`: both are looked at before each run.
    """

    folder: Path
    home: Path
    label: str
    client: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def encrypt(self, text: str) -> str:
        """An encrypted file with this text. Raises AnsibleFailed."""
        return self._vault("encrypt", ["--encrypt-vault-id", self.label, "--output", "-", "-"], text)

    def decrypt(self, text: str) -> str:
        """What an encrypted file holds. Raises NotOurVault."""
        try:
            return self._vault("decrypt", ["--output", "-", "-"], text)
        except AnsibleFailed:
            raise NotOurVault(
                f"The vault file is encrypted with a password or label that the store does not have (label "
                f"{self.label}): rekey it with `ansible-vault rekey`, or store its password at ansible/password/"
                f"{self.label}."
            ) from None

    def check_syntax(self, playbooks: Sequence[str], inventories: Sequence[str]) -> None:
        """`--syntax-check` of all playbooks at once. Raises AnsibleFailed."""
        sources = [word for inventory in inventories for word in ("-i", inventory)]
        argv = ["ansible-playbook", "--syntax-check", "--vault-id", self._identity(), *sources, *playbooks]
        result = self._run([sys.executable, str(COMMANDS / argv[0]), *argv[1:]], "", self.folder)
        if result.returncode:
            raise AnsibleFailed(f"`ansible-playbook --syntax-check` fails: {_last_words(result.stderr, self.folder)}")

    def render(self, playbooks: Sequence[str], inventories: Sequence[str], *, with_vault: bool) -> dict[str, str]:
        """The hash of all that the playbooks render, by place (clients/rendering.py). Raises AnsibleFailed."""
        ids = [self._identity()] if with_vault else []
        order: Order = {"playbooks": list(playbooks), "inventories": list(inventories), "vault_ids": ids}
        result = self._run([sys.executable, "-m", "infra_ops.clients.rendering"], json.dumps(order), self.folder)
        if result.returncode:
            raise AnsibleFailed(f"The playbooks cannot be rendered: {_last_words(result.stderr, self.folder)}")
        answer: dict[str, str] = json.loads(result.stdout)
        return answer

    def _vault(self, command: str, arguments: list[str], text: str) -> str:
        argv = [sys.executable, str(COMMANDS / "ansible-vault"), command, "--vault-id", self._identity(), *arguments]
        result = self._run(argv, text, self.home)
        if result.returncode:
            raise AnsibleFailed(f"`ansible-vault {command}` fails: {_last_words(result.stderr, self.folder)}")
        return result.stdout

    def _identity(self) -> str:
        refuse_bad_client(self.client)
        return f"{self.label}@{self.client}"

    def _no_password(self) -> Path:
        """A file instead of the one that ansible.cfg may name, which exists on its owner's machine only."""
        file = self.home / "no-password"
        file.write_text(secrets.token_hex(16))
        return file

    def _run(self, argv: list[str], text: str, folder: Path) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "HOME": str(self.home),
            "ANSIBLE_HOME": str(self.home / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.home / "tmp"),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_VAULT_ID_MATCH": "true",  # otherwise a wrong label decrypts when the password fits
            "ANSIBLE_VAULT_PASSWORD_FILE": str(self._no_password()),
            "ANSIBLE_VAULT_IDENTITY_LIST": "",
            "ANSIBLE_LOG_PATH": "",
            "ANSIBLE_NOCOLOR": "true",
            "LC_ALL": "C.UTF-8",
            **self.environment,
        }
        try:
            return subprocess.run(
                argv, input=text, capture_output=True, text=True, cwd=folder, env=environment, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            raise AnsibleFailed(f"{Path(argv[1]).name} took longer than {SECONDS} s and was ended.") from None
        except FileNotFoundError as error:
            raise AnsibleFailed(f"{error.filename} is not there: ansible-core is missing where this runs.") from None


def refuse_bad_client(client: Path) -> None:
    """Raises Refusal when Ansible would not run the program as a client, or would read its source as the password."""
    if not client.name.endswith("-client"):
        raise Refusal(f"{client.name} must end in -client: otherwise Ansible does not tell it which vault is meant.")
    if not os.access(client, os.X_OK):
        raise Refusal(
            f"{client.name} has no execute bit, so Ansible would take its source for the password: "
            "`git update-index --chmod=+x` and commit."
        )


def _last_words(stderr: str, folder: Path) -> str:
    """The line that names the fault, without the text of the file, which may hold a value."""
    lines = [line for line in stderr.splitlines() if line.startswith(("ERROR!", "[ERROR]"))]
    words = " ".join(lines[:1] or stderr.splitlines()[-1:]).removeprefix("ERROR! ").partition("String:")[0]
    return words.replace(f"{folder}/", "").strip()[:300] or "it says nothing"
