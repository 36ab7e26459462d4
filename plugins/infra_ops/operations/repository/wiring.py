"""What else a playbook needs than references: the vault among its `vars_files`, and `no_log` on tasks that use it.

Whole lines are put in as text; nothing that is there changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import yaml

from infra_ops.operations.repository import scalars
from infra_ops.operations.repository.edits import CannotReplace, Edit, applied

LISTS_OF_TASKS = ("tasks", "pre_tasks", "post_tasks", "handlers")
BLOCKS = ("block", "rescue", "always")
NO_LOG = "no_log"


def mentions(text: str, names: Iterable[str]) -> bool:
    """Whether one of the names stands in the text as a word of its own."""
    return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) for name in names)


def load_vault(text: str, vault: str, needs: Callable[[str], bool]) -> str:
    """A playbook whose plays load the file `vault` if `needs` says so of their text. Raises CannotReplace."""
    edits = []
    for root in scalars.documents(text):
        for play in root.value if isinstance(root, yaml.SequenceNode) else []:
            if "hosts" in _keys(play) and needs(_text(text, play)):
                edits += _vars_files(text, play, vault)
    return applied(text, edits)


def hide_output(text: str, needs: Callable[[str], bool]) -> str:
    """The tasks of a playbook or a list of tasks with `no_log: true` if `needs` says so of their text."""
    edits: list[Edit] = []
    for root in scalars.documents(text):
        for task in _tasks(root):
            if needs(_text(text, task)) and NO_LOG not in _keys(task):
                edits.append(_first_lines(text, task, [f"{NO_LOG}: true"], f"{NO_LOG}: true"))
    return applied(text, edits)


def _tasks(root: Any) -> Iterator[Any]:
    """The tasks that do something themselves, in plays and blocks alike."""
    if not isinstance(root, yaml.SequenceNode):
        return
    for item in root.value:
        if not isinstance(item, yaml.MappingNode):
            continue
        nested = [value for key, value in item.value if key.value in (*LISTS_OF_TASKS, *BLOCKS)]
        for each in nested:
            yield from _tasks(each)
        if not nested and "hosts" not in _keys(item) and not any("import_playbook" in key for key in _keys(item)):
            yield item


def _keys(mapping: Any) -> list[str]:
    return [key.value for key, _ in mapping.value] if isinstance(mapping, yaml.MappingNode) else []


def _text(text: str, node: Any) -> str:
    return text[node.start_mark.index : node.end_mark.index]


def _vars_files(text: str, play: Any, vault: str) -> list[Edit]:
    files = next((value for key, value in play.value if key.value == "vars_files"), None)
    if files is None:
        return [_first_lines(text, play, ["vars_files:", f"  - {vault}"], f"vars_files: [{vault}]", after="hosts")]
    if not isinstance(files, yaml.SequenceNode) or not files.value:
        raise CannotReplace("its vars_files is no list")
    if vault in [item.value for item in files.value]:
        return []
    first = files.value[0].start_mark.index
    if files.flow_style:
        return [Edit(first, first, f"{vault}, ")]
    start = text.rfind("\n", 0, first) + 1
    pad = text[start:first].rstrip(" ").removesuffix("-")
    if pad.strip():
        raise CannotReplace("its vars_files does not begin on a line of its own")
    return [Edit(start, start, f"{pad}- {vault}{_newline(text)}")]


def _first_lines(text: str, mapping: Any, lines: list[str], flow: str, *, after: str = "") -> Edit:
    """Lines behind the key `after`, or behind the first, or before the only one; between braces at their beginning."""
    if mapping.flow_style:
        start = mapping.start_mark.index + 1
        return Edit(start, start, f"{flow}, ")
    keys = [key for key, _ in mapping.value]
    names = [key.value for key in keys]
    wanted = names.index(after) + 1 if after in names and names.index(after) + 1 < len(names) else 1
    newline = _newline(text)
    if wanted < len(keys):
        mark = keys[wanted].start_mark
        start, pad = mark.index - mark.column, " " * mark.column
        return Edit(start, start, "".join(f"{pad}{line}{newline}" for line in lines))
    mark = keys[0].start_mark
    pad = " " * mark.column
    return Edit(mark.index, mark.index, "".join(f"{line}{newline}{pad}" for line in lines))


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
