"""Values in inventories in INI format. https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html

On a line of a host, `key=value` pairs are split as a shell does; in a section `[group:vars]` a value is all that
follows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from infra_ops.models.spellings import Found
from infra_ops.operations.repository import jinja
from infra_ops.operations.repository.edits import CannotReplace, Edit, applied

SECTION = re.compile(r"\s*\[([^\]]+)\]")
# A value on a host's line: quoted, or without white space.
PAIR = re.compile(r"""(?<!\S)[\w.-]+=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'#][^\s"']*)(?!\S)""")
SETTING = re.compile(r"\s*[\w.-]+\s*=\s*(.*?)\s*$")


def edits(
    text: str, found: list[Found], variables: Mapping[Found, str], values: Mapping[str, str]
) -> tuple[list[Edit], list[tuple[Found, str]]]:
    """The replacements, and what cannot be replaced with the reason."""
    done: list[Edit] = []
    refused: list[tuple[Found, str]] = []
    offset, section = 0, ""
    for line in text.splitlines(keepends=True):
        if match := SECTION.match(line):
            section = match[1]
        inside = [each for each in found if offset <= each.start < offset + len(line)]
        for span, group in _by_value(line, section, offset, inside).items():
            try:
                done += _edit(text, span, group, variables, values)
            except CannotReplace as problem:
                refused += [(each, str(problem)) for each in group]
        offset += len(line)
    return done, refused


def _by_value(line: str, section: str, offset: int, found: list[Found]) -> dict[tuple[int, int] | None, list[Found]]:
    """The places by the span of the value that holds them; None for a comment, (0, 0) for anything else."""
    spans = []
    if not line.lstrip().startswith(("#", ";", "[")):
        matches = [SETTING.match(line)] if section.endswith(":vars") else list(PAIR.finditer(line))
        spans = [(match.start(1) + offset, match.end(1) + offset) for match in matches if match]
    result: dict[tuple[int, int] | None, list[Found]] = {}
    for each in found:
        span = next((span for span in spans if span[0] <= each.start and each.end <= span[1]), None)
        if span is None:
            before = line[: each.start - offset]
            is_comment = before.lstrip().startswith(("#", ";")) or " #" in before
            result.setdefault(None if is_comment else (0, 0), []).append(each)
        else:
            result.setdefault(span, []).append(each)
    return result


def _edit(
    text: str,
    span: tuple[int, int] | None,
    found: list[Found],
    variables: Mapping[Found, str],
    values: Mapping[str, str],
) -> list[Edit]:
    if span is None:
        return [Edit(each.start, each.end, "{{ " + variables[each] + " }}") for each in found]
    start, end = span
    if start == end:
        raise CannotReplace("it is no value of a variable")
    shown = text[start:end]
    quoted = shown[0] in "\"'" and shown[-1] == shown[0]
    if not quoted and not isinstance(_read(shown), str):
        raise CannotReplace("it is no text to Ansible; put it in quotes")
    inner = start + quoted
    moved = {each.moved(-inner): each for each in found}
    names = {here: variables[there] for here, there in moved.items()}
    body = text[inner : end - quoted]
    changes = jinja.edits(body, list(moved), names, values)
    if not jinja.renders_the_same(body, after := applied(body, changes), values):
        raise CannotReplace("a reference there would change more than the value")
    result = [Edit(each.start + inner, each.end + inner, each.text) for each in changes]
    if quoted:
        if shown[0] in after:
            raise CannotReplace("it would need quotes inside quotes")
        return result
    for mark, forbidden in (('"', '"\\#'), ("'", "'#")):
        if not any(character in after for character in forbidden):
            return [Edit(start, start, mark), *result, Edit(end, end, mark)]
    raise CannotReplace("it would need quotes, and its text has both kinds")


def _read(text: str) -> object:
    """As Ansible reads a value: a Python literal, or else text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError):
        return text
