"""What sort of file a path of the repository is: it decides how a value in it can be replaced."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath

import yaml

VARIABLES = {"group_vars", "host_vars", "vars", "defaults"}
INVENTORIES = {"inventory", "inventories", "hosts"}
YAML = {".yml", ".yaml"}
PROSE = {".md", ".rst", ".txt", ".adoc"}
COMPOSE = {f"{stem}{suffix}" for stem in ("compose", "docker-compose") for suffix in YAML}
ENCRYPTED = b"$ANSIBLE_VAULT;"


class Kind(StrEnum):
    PLAYBOOK = "a playbook"
    TASKS = "tasks"
    VARIABLES = "variables"
    INVENTORY = "an inventory"  # in YAML
    INI = "an inventory in INI format"
    TEMPLATE = "a template"
    PROSE = "documentation"
    COMPOSE = "a Compose file"
    OTHER = "no file of Ansible"


ANSIBLE_YAML = {Kind.PLAYBOOK, Kind.TASKS, Kind.VARIABLES, Kind.INVENTORY}


def kind_of(path: str, text: str, ansible: str) -> Kind:
    """The kind of a file; `ansible` is the folder of the repository in which Ansible's files are ("" for all of it)."""
    name = PurePosixPath(path)
    if name.name in COMPOSE or (name.name.startswith("docker-compose.") and name.suffix in YAML):
        return Kind.COMPOSE
    if name.suffix == ".j2":
        return Kind.TEMPLATE
    if name.suffix in PROSE:
        return Kind.PROSE
    if not name.is_relative_to(ansible) or name.name == "ansible.cfg":
        return Kind.OTHER
    folders = set(name.parts[:-1])
    if "templates" in folders:
        return Kind.TEMPLATE
    if "files" in folders:
        return Kind.OTHER
    if VARIABLES & folders and name.suffix in {*YAML, ""}:
        return Kind.VARIABLES
    if INVENTORIES & {*folders, name.stem}:
        return Kind.INVENTORY if name.suffix in YAML else Kind.INI if name.suffix in {"", ".ini"} else Kind.OTHER
    if name.suffix in YAML:
        return _playbook_or_tasks(text, folders)
    return Kind.OTHER


def _playbook_or_tasks(text: str, folders: set[str]) -> Kind:
    if {"tasks", "handlers"} & folders:
        return Kind.TASKS
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return Kind.OTHER
    if not isinstance(root, yaml.SequenceNode) or not root.value:
        return Kind.OTHER
    items = [item for item in root.value if isinstance(item, yaml.MappingNode)]
    if len(items) != len(root.value):
        return Kind.OTHER
    keys = [{key.value for key, _ in item.value} for item in items]
    plays = {"hosts", "import_playbook", "ansible.builtin.import_playbook"}
    return Kind.PLAYBOOK if all(plays & each for each in keys) else Kind.TASKS
