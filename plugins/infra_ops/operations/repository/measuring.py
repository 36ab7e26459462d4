"""What the checks ask of the repository at one commit. Nothing of it is run: it is read as text."""

from __future__ import annotations

import posixpath
import re
from datetime import UTC, datetime
from typing import Any

import yaml

from infra_ops.checks import repository as checks
from infra_ops.clients.git import File
from infra_ops.facts.suspicions import suspicions
from infra_ops.models.fingerprints import Finder
from infra_ops.models.outcomes import Outcome
from infra_ops.models.problems import Refusal
from infra_ops.models.spellings import find
from infra_ops.models.vaulted import Playbooks, Vaulted
from infra_ops.operations.repository.kinds import ENCRYPTED
from infra_ops.operations.repository.papers import PASSWORD_FILES
from infra_ops.operations.repository.workshop import Workshop

REFERENCE = re.compile(r"(?<![\w.-])vault_[a-z0-9_]+")


def measure(workshop: Workshop, commit: str, subject: str, run: str) -> list[Outcome]:
    """K030, K032, K033 and K034. Raises Problem."""
    tree = workshop.clone.files(commit)
    now = datetime.now(UTC)
    home = workshop.home()
    notes = workshop.kv.notes(workshop.home_path)
    return [
        scan_tree(workshop, commit, tree, subject, run),
        checks.vault(subject, workshop.repository.vault, _vaulted(workshop, commit, tree), now=now, run=run),
        checks.second_home(home.version if home else 0, notes.get("restored", ""), now=now, run=run),
        checks.playbooks(subject, _playbooks(workshop, tree), now=now, run=run),
    ]


def scan_tree(workshop: Workshop, commit: str, tree: dict[str, File], subject: str, run: str) -> Outcome:
    """K030 of a commit."""
    known = workshop.remembered.known
    finder = Finder(known)
    places, plain = [], []
    for path, file in tree.items():
        data = file.data or b""
        if data.startswith(ENCRYPTED):
            continue
        plain.append(path)
        text = data.decode(errors="replace")
        for each in find(text, finder):
            line = text.count("\n", 0, each.start) + 1
            places.append(f"{path}:{line} ({known.names[each.print]})")
    suspected = [each.place for each in suspicions(workshop.clone.check_out(commit), plain)]
    return checks.tree(subject, len(tree), places, suspected, now=datetime.now(UTC), run=run)


def scan_history(workshop: Workshop, subject: str, run: str) -> Outcome:
    """K031 of all branches and tags. A line is looked at once, in however many versions of files it stands."""
    known = workshop.remembered.known
    finder, seen = Finder(known), set()
    live: dict[str, set[str]] = {}
    retired = set()
    versions = 0
    for path, data in workshop.clone.history():
        versions += 1
        if data.startswith(ENCRYPTED):
            continue
        fresh = [line for line in data.split(b"\n") if line not in seen]
        seen.update(fresh)
        for each in find("\n".join(line.decode(errors="replace") for line in fresh), finder):
            if each.print in known.current:
                live.setdefault(known.names[each.print], set()).add(path)
            else:
                retired.add(each.print)
    by_name = {name: sorted(paths) for name, paths in live.items()}
    return checks.history(subject, versions, by_name, len(retired), now=datetime.now(UTC), run=run)


def _vaulted(workshop: Workshop, commit: str, tree: dict[str, File]) -> Vaulted:
    repository, clone = workshop.repository, workshop.clone
    clone.check_out(commit)
    tracked = tree.get(repository.vault_file)
    header = (tracked.data or b"").decode(errors="replace").partition("\n")[0] if tracked else ""
    missing, surplus, why = _names(workshop, tree)
    return Vaulted(
        tracked=tracked is not None,
        header=header,
        wanted_header=f"{ENCRYPTED.decode()}1.2;AES256;{repository.label}",
        ignored=clone.is_ignored(repository.vault_file),
        passwords_ignored=all(clone.is_ignored(name.replace("*", "x")) for name in PASSWORD_FILES),
        missing=missing,
        surplus=surplus,
        unopened=why,
    )


def _names(workshop: Workshop, tree: dict[str, File]) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    repository = workshop.repository
    try:
        values = _variables(workshop, tree)
    except Refusal as refusal:
        return (), (), str(refusal)
    example = tree.get(f"{repository.ansible}/vars/vault.example.yml")
    if example is None:
        return (), (), "there is no example file"
    names = set(yaml.safe_load(example.data or b"") or {})
    return tuple(sorted(names - values.keys())), tuple(sorted(values.keys() - names)), ""


def _variables(workshop: Workshop, tree: dict[str, File]) -> dict[str, Any]:
    tracked = tree.get(workshop.repository.vault_file)
    if tracked:
        return workshop.opened((tracked.data or b"").decode(errors="replace"))
    home = workshop.home()
    if home is None:
        raise Refusal("its second home in the store is empty")
    return workshop.opened(home.values["file"])


def _playbooks(workshop: Workshop, tree: dict[str, File]) -> Playbooks:
    """As text: Ansible would run what look-ups, plugins and inventories of the repository say, daily and unattended."""
    repository = workshop.repository
    names, faults = workshop.playbooks(tree), []
    try:
        variables = _variables(workshop, tree)
    except Refusal as refusal:
        return Playbooks(len(names), 0, (str(refusal),))
    loading = 0
    for name in names:
        path = posixpath.dirname(f"{repository.ansible}/{name}")
        text = (tree[f"{repository.ansible}/{name}"].data or b"").decode(errors="replace")
        loading += posixpath.relpath(repository.vault_file, path) in text
    for path, file in tree.items():
        if not path.startswith(f"{repository.ansible}/") or path == repository.vault_file:
            continue
        used = set(REFERENCE.findall((file.data or b"").decode(errors="replace")))
        faults += [f"{path} uses {name}, which the vault lacks" for name in sorted(used - variables.keys())]
    own = (f"{repository.ansible}/vars/vault.example.yml", repository.client)
    return Playbooks(len(names), loading, tuple(fault for fault in faults if not fault.startswith(own)))
