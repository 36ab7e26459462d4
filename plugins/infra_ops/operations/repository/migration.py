"""All known values of a repository become references. Nothing is read or written here but texts in memory."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from infra_ops.models.fingerprints import Finder, Fingerprints
from infra_ops.models.spellings import Found, find
from infra_ops.operations.repository import ini_edits, jinja, wiring, yaml_edits
from infra_ops.operations.repository.edits import CannotReplace, Edit, applied
from infra_ops.operations.repository.kinds import ANSIBLE_YAML, ENCRYPTED, Kind, kind_of
from infra_ops.operations.repository.names import Names
from infra_ops.operations.repository.tainted import Tainted

Refused = list[tuple[Found, str]]


@dataclass(frozen=True, order=True)
class Place:
    """A value stood there; `line` counts from 1."""

    path: str
    line: int
    variable: str


@dataclass
class Migration:
    """`files` are the changed ones; `values` what each variable stands for; `refused` are sentences."""

    files: dict[str, str] = field(default_factory=dict, repr=False)
    values: dict[str, str] = field(default_factory=dict, repr=False)
    places: list[Place] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    playbooks: list[str] = field(default_factory=list)
    """Those that load the vault afterwards."""


def migrate(tree: Mapping[str, bytes], known: Fingerprints, names: Names, *, ansible: str, vault: str) -> Migration:
    """`tree` are the tracked files by path; `ansible` and `vault` are paths in it."""
    result = Migration()
    finder = Finder(known)
    kinds: dict[str, Kind] = {}
    texts: dict[str, str] = {}
    for path, data in sorted(tree.items()):
        if data.startswith(ENCRYPTED):
            continue
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("latin-1")
            kinds[path] = Kind.OTHER
        texts[path] = text
        kind = kinds.setdefault(path, kind_of(path, text, ansible))
        found = find(text, finder)
        variables = {each: names.of(each.print, each.value, known.names[each.print]) for each in found}
        result.values.update({name: each.value for each, name in variables.items()})
        edits, refused = replacements(kind, text, found, variables, result.values)
        for each, reason in refused:
            result.refused.append(f"{path} line {_line(text, each)} ({known.names[each.print]}): {reason}")
        bad = {each for each, _ in refused}
        result.places += [Place(path, _line(text, each), variables[each]) for each in found if each not in bad]
        if edits:
            result.files[path] = applied(text, edits)
    _wire(result, texts, kinds, ansible=ansible, vault=vault)
    return result


def replacements(
    kind: Kind, text: str, found: list[Found], variables: Mapping[Found, str], values: Mapping[str, str]
) -> tuple[list[Edit], Refused]:
    """What becomes of the values in one file, by its kind."""
    if not found:
        return [], []
    if kind in ANSIBLE_YAML:
        return yaml_edits.edits(text, found, variables, values, compose=False)
    if kind is Kind.COMPOSE:
        return yaml_edits.edits(text, found, variables, values, compose=True)
    if kind is Kind.INI:
        return ini_edits.edits(text, found, variables, values)
    if kind is Kind.TEMPLATE:
        return _in_template(text, found, variables, values)
    if kind is Kind.PROSE:
        return [Edit(each.start, each.end, "{{ " + variables[each] + " }}") for each in found], []
    reason = "it is no file of Ansible, which could fill in a reference"
    return [], [(each, reason) for each in found]


def _in_template(
    text: str, found: list[Found], variables: Mapping[Found, str], values: Mapping[str, str]
) -> tuple[list[Edit], Refused]:
    if text.startswith("#jinja2:"):
        return [], [(each, "its file has settings of its own for Jinja in its first line") for each in found]
    done: list[Edit] = []
    refused: Refused = []
    for each in found:
        try:
            more = jinja.edits(text, [each], variables, values)
            if not jinja.renders_the_same(text, applied(text, more), values):
                raise CannotReplace("a reference there would change more than the value")
            done += more
        except CannotReplace as problem:
            refused.append((each, str(problem)))
    return done, refused


def _wire(result: Migration, texts: dict[str, str], kinds: dict[str, Kind], *, ansible: str, vault: str) -> None:
    after = {path: result.files.get(path, text) for path, text in texts.items()}
    tainted = Tainted(after, kinds, set(result.values), ansible)
    for path, kind in kinds.items():
        if kind not in (Kind.PLAYBOOK, Kind.TASKS):
            continue
        text = after[path]
        if kind is Kind.PLAYBOOK:
            there = posixpath.relpath(vault, str(PurePosixPath(path).parent))
            try:
                text = wiring.load_vault(text, there, tainted.needs_vault)
            except CannotReplace as problem:
                result.refused.append(f"{path}: {problem}, so it cannot be made to load {vault}")
                continue
            if there in text:
                result.playbooks.append(path)
        text = wiring.hide_output(text, tainted.is_secret)
        if text != texts[path]:
            result.files[path] = text


def _line(text: str, found: Found) -> int:
    return text.count("\n", 0, found.start) + 1
