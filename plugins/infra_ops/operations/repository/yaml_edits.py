"""Values in YAML: each replaced inside its scalar, as text, and proved by reading both texts again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import yaml

from infra_ops.models.spellings import Found, Spelling
from infra_ops.operations.repository import jinja, scalars
from infra_ops.operations.repository.edits import CannotReplace, Edit, applied
from infra_ops.operations.repository.scalars import STRING, NotYaml, Scalar

# Ansible takes what stands under these keys as a Jinja expression without braces.
EXPRESSIONS = {"when", "changed_when", "failed_when", "until", "that", "var", "break_when"}
SAME = Callable[[str, str, tuple[str, ...]], bool]


def edits(
    text: str, found: list[Found], variables: Mapping[Found, str], values: Mapping[str, str], *, compose: bool
) -> tuple[list[Edit], list[tuple[Found, str]]]:
    """The replacements, and what cannot be replaced with the reason. A Compose file takes variables of its own."""
    try:
        known = scalars.scalars(text)
    except NotYaml as problem:
        return [], [(each, str(problem)) for each in found]
    done: list[Edit] = []
    refused: list[tuple[Found, str]] = []
    by_scalar: dict[Scalar | None, list[Found]] = {}
    for each in found:
        holder = next((item for item in known if item.start <= each.start and each.end <= item.end), None)
        by_scalar.setdefault(holder, []).append(each)
    for scalar, inside in by_scalar.items():
        try:
            if scalar is None:
                done += [_in_comment(text, each, variables[each]) for each in inside]
            else:
                more = _in_scalar(text, scalar, inside, variables, values, compose=compose)
                _prove(text, more, values, compose=compose)
                done += more
        except CannotReplace as problem:
            refused += [(each, str(problem)) for each in inside]
    return done, refused


def _in_comment(text: str, found: Found, name: str) -> Edit:
    line = text[text.rfind("\n", 0, found.start) + 1 : found.start]
    if "#" not in line:
        raise CannotReplace("it is neither a value nor a comment")
    return Edit(found.start, found.end, "{{ " + name + " }}")


def _in_scalar(
    text: str,
    scalar: Scalar,
    found: list[Found],
    variables: Mapping[Found, str],
    values: Mapping[str, str],
    *,
    compose: bool,
) -> list[Edit]:
    if scalar.is_key:
        raise CannotReplace("it is the name of a setting")
    if scalar.tag != STRING:
        what = "marked by a tag that keeps Ansible from it" if scalar.tag.startswith("!") else "no text to YAML"
        raise CannotReplace(f"it is {what}; put it in quotes" if scalar.style is None else f"it is {what}")
    inner = text[scalar.inner : scalar.inner_end]
    lead = "{{ " if not compose and scalar.keys and scalar.keys[-1] in EXPRESSIONS else ""
    shift = scalar.inner - len(lead)
    moved = {each.moved(-shift): each for each in found}
    names = {_unquoted(here, scalar.style): variables[there] for here, there in moved.items()}
    if compose:
        changes = [_compose(inner, here, name, values[name]) for here, name in names.items()]
    else:
        changes = jinja.edits(lead + inner + (" }}" if lead else ""), list(names), names, values)
    result = [Edit(each.start + shift, each.end + shift, each.text) for each in changes]
    return result if scalar.style else _quoted(text, scalar, result)


def _unquoted(found: Found, style: str | None) -> Found:
    """What the quotes of YAML escape, and Jinja sees as it is."""
    escape = {"'": Spelling.DOUBLED, '"': Spelling.BACKSLASH}.get(style or "")
    return replace(found, spelling=Spelling.PLAIN) if found.spelling is escape else found


def _compose(inner: str, found: Found, name: str, value: str) -> Edit:
    if inner[found.start : found.end] != value.replace("$", "$$"):
        raise CannotReplace("a Compose file cannot escape a variable")
    return Edit(found.start, found.end, "${" + name.upper() + ":?missing}")


def _quoted(text: str, scalar: Scalar, changes: list[Edit]) -> list[Edit]:
    """A plain scalar gets quotes where braces would make it something else."""
    shift = scalar.start
    after = applied(text[scalar.start : scalar.end], [Edit(e.start - shift, e.end - shift, e.text) for e in changes])
    if not scalar.flow and not after.startswith("{"):
        return changes
    for mark, forbidden in (('"', '"\\'), ("'", "'")):
        if not any(character in after for character in forbidden):
            return [Edit(scalar.start, scalar.start, mark), *changes, Edit(scalar.end, scalar.end, mark)]
    raise CannotReplace("it would need quotes, and its text has both kinds")


def _prove(text: str, changes: list[Edit], values: Mapping[str, str], *, compose: bool) -> None:
    if not only_values_changed(text, applied(text, changes), values, compose=compose):
        raise CannotReplace("a reference there would change more than the value")


def only_values_changed(before: str, after: str, values: Mapping[str, str], *, compose: bool) -> bool:
    """Whether both texts are the same documents but for scalars that render the same with these values."""

    def same(one: str, other: str, keys: tuple[str, ...]) -> bool:
        if one == other:
            return True
        if compose:
            return one == _with_environment(other, values)
        if keys and keys[-1] in EXPRESSIONS:
            return jinja.expressions_agree(one, other, values)
        return jinja.renders_the_same(one, other, values)

    try:
        roots = scalars.documents(before), scalars.documents(after)
    except NotYaml:
        return False
    return len(roots[0]) == len(roots[1]) and all(_alike(*pair, (), same) for pair in zip(*roots, strict=True))


def _with_environment(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("${" + name.upper() + ":?missing}", value.replace("$", "$$"))
    return text


def _alike(one: Any, other: Any, keys: tuple[str, ...], same: SAME) -> bool:
    if one is None or other is None:
        return one is other
    if type(one) is not type(other) or one.tag != other.tag:
        return False
    if isinstance(one, yaml.ScalarNode):
        return same(one.value, other.value, keys)
    if len(one.value) != len(other.value):
        return False
    if isinstance(one, yaml.SequenceNode):
        return all(_alike(*pair, keys, same) for pair in zip(one.value, other.value, strict=True))
    for (key, value), (other_key, other_value) in zip(one.value, other.value, strict=True):
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        if not _alike(key, other_key, (), lambda a, b, _: a == b) or not _alike(
            value, other_value, (*keys, name), same
        ):
            return False
    return True
