"""What a secret reaches: variables that hold a reference, variables made of those, and the files that use them.

It goes by names and rather takes in too much: a play that loads the vault in vain harms nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import PurePosixPath

from infra_ops.operations.repository.kinds import ANSIBLE_YAML, Kind
from infra_ops.operations.repository.scalars import NotYaml, scalars
from infra_ops.operations.repository.wiring import mentions

SETS = {"vars", "set_fact", "ansible.builtin.set_fact"}
TITLE = re.compile(r"^[-\s]*name:.*$", re.MULTILINE)  # of a task: it may name a variable in prose
FOR_ALL = {Kind.INVENTORY, Kind.INI}


class Tainted:
    """`texts` are the files after the migration; `vault` the names of the variables in the vault."""

    def __init__(self, texts: Mapping[str, str], kinds: Mapping[str, Kind], vault: set[str], ansible: str) -> None:
        self._names = set(vault)
        settings = [item for path, text in texts.items() for item in _settings(text, kinds[path])]
        while more := {name for name, value in settings if mentions(value, self._names)} - self._names:
            self._names |= more
        self._everywhere = any(mentions(text, vault) for path, text in texts.items() if _is_for_all(path, kinds[path]))
        units = _units(texts, kinds, ansible)
        self._hot = {unit for unit, text in units.items() if mentions(text, self._names)}
        while more := {unit for unit, text in units.items() if mentions(text, self._hot)} - self._hot:
            self._hot |= more
        self._templates = {
            PurePosixPath(path).name
            for path, text in texts.items()
            if kinds[path] is Kind.TEMPLATE and mentions(text, self._names)
        }

    def needs_vault(self, play: str) -> bool:
        """A play in which a reference can be seen."""
        return self._everywhere or mentions(play, self._names | self._hot)

    def is_secret(self, task: str) -> bool:
        """A task that has a secret in its arguments, or renders a template that has."""
        return mentions(TITLE.sub("", task), self._names | self._templates)


def _is_for_all(path: str, kind: Kind) -> bool:
    return kind in FOR_ALL or bool({"group_vars", "host_vars"} & set(PurePosixPath(path).parts))


def _settings(text: str, kind: Kind) -> Iterator[tuple[str, str]]:
    """Names of variables and what they are made of."""
    if kind is Kind.INI:
        yield from re.findall(r"([\w.-]+)\s*=\s*(\S.*)", text)
    if kind not in ANSIBLE_YAML:
        return
    try:
        found = scalars(text)
    except NotYaml:
        return
    for scalar in found:
        keys = scalar.keys
        if scalar.is_key or not keys:
            continue
        if kind is Kind.VARIABLES:
            yield keys[0], scalar.value
        elif kind is Kind.INVENTORY:
            yield keys[-1], scalar.value
        else:
            for key, following in pairwise(keys):
                if key in SETS:
                    yield following, scalar.value


def _units(texts: Mapping[str, str], kinds: Mapping[str, Kind], ansible: str) -> dict[str, str]:
    """Roles, and files that are included or read by name, with their text."""
    units: dict[str, str] = {}
    for path, text in texts.items():
        name = PurePosixPath(path)
        if not name.is_relative_to(ansible) or kinds[path] in (Kind.PROSE, Kind.COMPOSE):
            continue
        if "roles" in name.parts[:-2]:
            role = name.parts[name.parts.index("roles") + 1]
            units[role] = units.get(role, "") + text
        if kinds[path] is not Kind.PLAYBOOK:
            units[name.name] = units.get(name.name, "") + text
    return units
