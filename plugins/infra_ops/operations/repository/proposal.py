"""What is to be proposed for one state of the repository, and the proof that it is right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import yaml

from infra_ops.clients.ansible_tools import AnsibleTools
from infra_ops.clients.git import File
from infra_ops.clients.kv import Fields
from infra_ops.facts.suspicions import Suspicion, suspicions
from infra_ops.models.fingerprints import ALONE_BELOW, Finder, Fingerprints
from infra_ops.models.problems import Refusal
from infra_ops.models.spellings import find
from infra_ops.operations.repository.kinds import ENCRYPTED
from infra_ops.operations.repository.migration import Migration, migrate
from infra_ops.operations.repository.names import Names, for_key
from infra_ops.operations.repository.papers import message, papers
from infra_ops.operations.repository.workshop import Workshop

SHOWN = 5
KEY = re.compile(r"[A-Za-z_][\w-]*(?=[\"']?\s*[:=])")  # of a setting


@dataclass
class Proposal:
    """On top of the commit `base`. `files` are all that change but the vault itself, whose variables are `values`;
    `included` are those of them that a person has called secrets. `replaces` is the version that the second home had
    when the values were made up (0: none): only that one may be replaced by them.
    """

    base: str
    tree: dict[str, File] = field(repr=False)
    known: Fingerprints
    migration: Migration
    values: dict[str, str] = field(repr=False)
    included: dict[str, str] = field(repr=False)
    files: dict[str, File] = field(repr=False)
    suspicions: list[Suspicion]
    replaces: int


def propose(workshop: Workshop, base: str, include: Sequence[str]) -> Proposal:
    """Raises Refusal when something stands in the way that a person has to mend."""
    repository, clone = workshop.repository, workshop.clone
    tree = clone.files(base)
    client = tree.get(repository.client)
    if client and client.mode != "100755":
        raise Refusal(
            f"{repository.client} has no execute bit, so Ansible would take its source for the password: "
            "`git update-index --chmod=+x` and commit."
        )
    texts = {path: file.data or b"" for path, file in tree.items()}
    suspected, included = _suspected(workshop, base, texts, include)
    known = workshop.remembered.known.with_values({name: [value] for name, value in included.items()})
    home = workshop.home()
    before = vault_before(workshop, tree, home)
    migration = migrate(texts, known, Names(known, before), ansible=repository.ansible, vault=repository.vault_file)
    if migration.refused:
        more = len(migration.refused) - SHOWN
        raise Refusal(
            "Nothing is proposed: these values cannot become references where they stand, so move or remove them "
            f"first: {'; '.join(migration.refused[:SHOWN])}{f'; and {more} more' if more > 0 else ''}."
        )
    values = {**before, **migration.values}
    files = {path: File(text.encode(), tree[path].mode) for path, text in migration.files.items()}
    if values:
        for path, file in papers(repository, workshop.mount, {**tree, **files}, values).items():
            if tree.get(path) != file:
                files[path] = file
    if repository.vault == "ignored" and repository.vault_file in tree:
        files[repository.vault_file] = File(None)
    return Proposal(base, tree, known, migration, values, included, files, suspected, home.version if home else 0)


def vault_before(workshop: Workshop, tree: dict[str, File], home: Fields | None) -> dict[str, str]:
    """The variables that the vault has: of the tracked file, otherwise of the second home.

    Raises Refusal when one is no text: the vault is written anew, and every value in it as text.
    """
    where = workshop.repository.vault_file
    if tracked := tree.get(where):
        found = workshop.opened((tracked.data or b"").decode(errors="replace"))
    else:
        where = f"{where} at store path {workshop.home_path}"
        found = workshop.opened(home.values["file"]) if home else {}
    if others := sorted(name for name, value in found.items() if not isinstance(value, str)):
        raise Refusal(
            f"{where} has variables that are no text and would become it ({', '.join(others)}): put their values in "
            "quotes, or move them to another file of variables."
        )
    return found


def build(workshop: Workshop, proposal: Proposal) -> str | None:
    """The commit, in the clone; None as long as the vault is not at its second home in the form to be proposed."""
    repository, files = workshop.repository, dict(proposal.files)
    if repository.vault == "committed":
        home = workshop.home()
        if home is None or workshop.opened(home.values["file"]) != proposal.values:
            return None
        vault = File(home.values["file"].encode())
        if proposal.tree.get(repository.vault_file) != vault:
            files[repository.vault_file] = vault
    retired = {
        name
        for name, value in proposal.migration.values.items()
        if (print_ := proposal.known.print_of(value.encode())) not in proposal.known.current
        and not proposal.known.names[print_].startswith("vault_")
    }
    return workshop.clone.commit(proposal.base, files, message(repository, proposal.migration, retired))


def vault_text(values: dict[str, str]) -> str:
    """What is encrypted."""
    return "---\n" + yaml.safe_dump(values, default_style='"', allow_unicode=True, width=10**6)


def prove(workshop: Workshop, proposal: Proposal) -> None:
    """Raises Refusal unless no value is left, and every playbook loads and renders what it did before."""
    repository, clone = workshop.repository, workshop.clone
    finder = Finder(proposal.known)
    after = {**proposal.tree, **proposal.files}
    left = [
        path
        for path, file in after.items()
        if file.data and not file.data.startswith(ENCRYPTED) and find(file.data.decode(errors="replace"), finder)
    ]
    if left:
        raise Refusal(f"A value would still stand in {', '.join(left[:SHOWN])} afterwards.")
    playbooks, inventories = workshop.playbooks(proposal.tree), workshop.inventories(proposal.tree)
    if not playbooks:
        return
    vault = clone.folder / repository.vault_file
    stored = workshop.kv.read_fields(workshop.password_path) is not None
    folder = clone.check_out(proposal.base)
    ansible = workshop.ansible if stored else workshop.provisional
    before = _rendered(workshop, proposal, ansible)
    for path, file in proposal.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True) if file.data is None else target.write_bytes(file.data)
    vault.parent.mkdir(parents=True, exist_ok=True)
    vault.write_text(ansible.encrypt(vault_text(proposal.values)))
    rendered = ansible.render(playbooks, inventories, with_vault=True)
    # What could not be rendered before any play runs may be by now, because its play loads the vault.
    different = {place for place, digest in before.items() if digest and rendered.get(place) != digest}
    if different:
        again = _rendered(workshop, proposal, ansible)
        different = {place for place in different if again.get(place) == before[place]}  # not the time, say
    if different:
        raise Refusal(f"{len(different)} places would render differently, such as {min(different)}.")
    ansible.check_syntax(playbooks, inventories)


def _rendered(workshop: Workshop, proposal: Proposal, ansible: AnsibleTools) -> dict[str, str]:
    """What the playbooks render as they are, with the vault that they have."""
    vault = workshop.clone.check_out(proposal.base) / workshop.repository.vault_file
    home = workshop.home()
    if home and not vault.exists():
        vault.parent.mkdir(parents=True, exist_ok=True)
        vault.write_text(home.values["file"])
    playbooks, inventories = workshop.playbooks(proposal.tree), workshop.inventories(proposal.tree)
    return ansible.render(playbooks, inventories, with_vault=vault.exists())


def _suspected(
    workshop: Workshop, base: str, texts: dict[str, bytes], include: Sequence[str]
) -> tuple[list[Suspicion], dict[str, str]]:
    """What may be a secret and is not known, and of it, by name, what a person has called one. Raises Refusal."""
    folder = workshop.clone.check_out(base)
    finder = Finder(workshop.remembered.known)
    plain = [path for path, data in texts.items() if not data.startswith(ENCRYPTED)]
    lines = {path: texts[path].decode(errors="replace").split("\n") for path in plain}
    found = suspicions(folder, plain)
    by_place = {each.place: each for each in found}
    chosen: dict[str, str] = {}
    for place in include:
        each = by_place.get(place)
        if each is None or len(each.value) < ALONE_BELOW or each.kind == "Private Key":
            raise Refusal(
                f"{place} is no place that may hold a secret of one line: {', '.join(by_place) or 'none is'}."
            )
        before = lines[each.path][each.line - 1].partition(each.value)[0]
        first = name = for_key((KEY.findall(before) or [""])[-1])
        number = 1
        while chosen.get(name, each.value) != each.value:
            number += 1
            name = f"{first}_{number}"
        chosen[name] = each.value
    unknown = [
        each for each in found if not find(lines[each.path][each.line - 1], finder) and not find(each.value, finder)
    ]
    # One that is included stays so when it is known by now: the run may have remembered it and died.
    return [each for each in unknown if each.place not in include], chosen
