"""The scalars of a YAML text and where they stand, as Ansible's own parser (PyYAML) sees them.

No document is written anew: no YAML writer keeps every byte (facts: security-and-backup 3). Scalars are only located;
whoever changes one changes its span of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")  # anchor and tag
STRING = "tag:yaml.org,2002:str"


class NotYaml(Exception):
    """The text cannot be read as YAML."""


@dataclass(frozen=True)
class Scalar:
    """`start` to `end` is all of it, quotes included; `inner` to `inner_end` its text. `keys` lead to it.

    `style` is `'`, `"`, `|`, `>` or None for a plain one; `flow`: it stands in brackets or braces.
    """

    start: int
    end: int
    inner: int
    inner_end: int
    style: str | None
    tag: str
    value: str
    keys: tuple[str, ...]
    is_key: bool
    flow: bool


def documents(text: str) -> list[Any]:
    """The root nodes. Raises NotYaml."""
    try:
        return list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError):
        raise NotYaml("it cannot be read as YAML") from None


def scalars(text: str) -> list[Scalar]:
    """All of them in their order; an alias is counted where its anchor stands. Raises NotYaml."""
    found: dict[int, Scalar] = {}
    for root in documents(text):
        if root is not None:
            for scalar in _below(text, root, (), flow=False, seen=set()):
                found.setdefault(scalar.start, scalar)
    return [found[start] for start in sorted(found)]


def _below(text: str, node: Any, keys: tuple[str, ...], *, flow: bool, seen: set[int]) -> Iterator[Scalar]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield _scalar(text, node, keys, flow=flow, is_key=False)
        return
    inside = flow or bool(node.flow_style)
    for item in node.value:
        if isinstance(node, yaml.MappingNode):
            key, value = item
            if isinstance(key, yaml.ScalarNode):
                yield _scalar(text, key, keys, flow=inside, is_key=True)
                yield from _below(text, value, (*keys, key.value), flow=inside, seen=seen)
                continue
            yield from _below(text, key, keys, flow=inside, seen=seen)
            yield from _below(text, value, (*keys, ""), flow=inside, seen=seen)
        else:
            yield from _below(text, item, keys, flow=inside, seen=seen)


def _scalar(text: str, node: yaml.ScalarNode, keys: tuple[str, ...], *, flow: bool, is_key: bool) -> Scalar:
    start, end = node.start_mark.index, node.end_mark.index
    if written := PROPERTIES.match(text, start, end):  # to PyYAML they are a part of it
        start = written.end()
    inner, inner_end = start, end
    if node.style in ("'", '"'):
        inner, inner_end = start + 1, end - 1
    elif node.style in ("|", ">"):
        inner = text.index("\n", start) + 1 if "\n" in text[start:end] else end
    return Scalar(start, end, inner, inner_end, node.style, node.tag, node.value, keys, is_key, flow)
