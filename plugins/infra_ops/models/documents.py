"""Turns a YAML text into a model, or says in one sentence what is wrong with it and where."""

from __future__ import annotations

from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from infra_ops.models.problems import Refusal

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]


class DocumentError(Refusal, ValueError):
    """A document cannot be used. The text is one sentence: file, line, place, what was found, what is allowed."""


class Document(BaseModel):
    """The base of every model that is read from a file: unknown keys are refused, values are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def parse(text: str, model: type[Model], source: str) -> Model:
    """Reads `text` as the YAML of a `model`. `source` names it in errors. Raises DocumentError for the first fault."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DocumentError(f"{source}, line {line}: this is not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise DocumentError(f"{source}: this is not YAML: {' '.join(str(error).split())}.") from None
    _refuse_repeated_keys(root, source)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise DocumentError(_sentence(error.errors()[0], root, source)) from None


def _sentence(fault: ErrorDetails, root: yaml.Node | None, source: str) -> str:
    place = tuple(step for step in fault["loc"])
    line, known = _line(root, place)
    return f"{source}, line {line}: {_dotted(known) or 'the document'}: {_what(fault)}."


def _what(fault: ErrorDetails) -> str:
    """The fault in words: what was found and what is allowed."""
    found = fault["input"]
    name = str(fault["loc"][-1]) if fault["loc"] else ""
    match fault["type"]:
        case "missing":
            return f"{name} is missing"
        case "extra_forbidden":
            return f"{name} is not known here; check the spelling or remove it"
        case "literal_error" | "enum":
            return f"found {_shown(found)}; allowed are {fault['ctx']['expected']}"
        case "value_error" | "assertion_error":
            return str(fault["ctx"]["error"])
        case _:
            return f"found {_shown(found)}; {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _shown(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return kinds.get(type(value)) or (repr(value) if len(repr(value)) < 60 else f"{repr(value)[:57]}…")


def _line(root: yaml.Node | None, place: Place) -> tuple[int, Place]:
    """The line of a place and the part of it that is in the document (a discriminator's tag, say, is not)."""
    node, line = root, 1
    known: Place = ()
    for step in place:
        child = _child(node, step)
        if child is None:
            continue
        node, line = child
        known = (*known, step)
    return line, known


def _child(node: yaml.Node | None, step: int | str) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark.line + 1
    return None


def _dotted(place: Place) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".")


def _refuse_repeated_keys(node: yaml.Node | None, source: str) -> None:
    """YAML readers silently keep the last of two equal keys; whoever wrote both meant something else."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item, source)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise DocumentError(f"{source}, line {line}: {key.value} stands twice in one mapping; keep one.")
            seen.add(key.value)
            _refuse_repeated_keys(value, source)
