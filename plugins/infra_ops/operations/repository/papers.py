"""What comes with the vault: ignore rules, the example file, the program for the password, the guide, the message."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from infra_ops.clients.git import PLAIN, PROGRAM, File
from infra_ops.models.repository import Repository
from infra_ops.operations.repository.migration import Migration

CLIENT = Path(__file__).parent / "files" / "vault-password-client"
GUIDE = Path(__file__).parent / "files" / "vault.md"
MARK = "# Passwords of Ansible Vault never belong here."
PASSWORD_FILES = (".vault_pass*", "vault_pass*.txt", ".vault-password", "*.vault-password")


def papers(repository: Repository, mount: str, tree: Mapping[str, File], names: Iterable[str]) -> dict[str, File]:
    """The files by path, as they are to be; `names` are those of the vault's variables."""
    example = f"{repository.ansible}/vars/vault.example.yml"
    return {
        ".gitignore": File(_ignoring(_text(tree, ".gitignore"), repository).encode(), _mode(tree, ".gitignore")),
        example: File(_example(repository, names).encode()),
        repository.client: File(filled(CLIENT, repository, mount).encode(), PROGRAM),
        "docs/vault.md": File(filled(GUIDE, repository, mount).encode()),
    }


def message(repository: Repository, migration: Migration, retired: Iterable[str]) -> str:
    """The commit's message: what a reviewer has to know, without a value."""
    counts = Counter(place.path for place in migration.places)
    old = sorted(retired)
    kept = {
        "ignored": f"{repository.vault_file} is ignored by Git. Its home is the secret store; docs/vault.md says how "
        "to fetch it.",
        "committed": f"{repository.vault_file} is committed, encrypted.",
    }[repository.vault]
    parts = [
        "Keep passwords in Ansible Vault",
        f"{len(migration.places)} hardcoded passwords in {len(counts)} files became references to "
        f"{len(migration.values)} variables; {len(migration.playbooks)} playbooks load them. Each playbook renders "
        "what it did before.",
        kept,
        "\n".join(f"- {path}: {count}" for path, count in sorted(counts.items())),
    ]
    if old:
        parts.insert(3, f"Retired already, change them in the vault before the next run: {', '.join(old)}.")
    return "\n\n".join(part if part.startswith("- ") else textwrap.fill(part, 72) for part in parts) + "\n"


def ignore_lines(repository: Repository) -> list[str]:
    """What Git is to ignore: files with the password in every case, the vault itself if it is to be ignored."""
    own = [f"/{repository.vault_file}"] if repository.vault == "ignored" else []
    return [*own, *PASSWORD_FILES]


def _ignoring(text: str, repository: Repository) -> str:
    missing = [line for line in ignore_lines(repository) if line not in text.splitlines()]
    if not missing:
        return text
    gap = "" if not text or text.endswith("\n") else "\n"
    mark = [] if MARK in text else [MARK]
    return text + gap + "".join(f"{line}\n" for line in [*mark, *missing])


def _example(repository: Repository, names: Iterable[str]) -> str:
    lines = [f"# The variables of {repository.vault_file}, which is encrypted (docs/vault.md). Names only."]
    return "\n".join([*lines, "---", *(f"{name}:" for name in sorted(names))]) + "\n"


def filled(file: Path, repository: Repository, mount: str) -> str:
    """One of the texts that come with the package, for this repository."""
    words = {
        "@LABEL@": repository.label,
        "@FOLDER@": repository.ansible,
        "@MOUNT@": mount,
        "@VAULT@": repository.vault_file,
        "@KEPT@": repository.vault,
    }
    text = file.read_text()
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text


def _text(tree: Mapping[str, File], path: str) -> str:
    file = tree.get(path)
    return file.data.decode() if file and file.data else ""


def _mode(tree: Mapping[str, File], path: str) -> str:
    return tree[path].mode if path in tree else PLAIN
