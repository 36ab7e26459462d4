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


class _Loader(yaml.SafeLoader):
    """YAML's own constructors raise whatever int() or datetime() does; here it gets its place."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)  # type: ignore[no-untyped-call]
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError):
            kind = node.tag.rpartition(":")[2]
            problem = f"{_shown(node.value)} is no {kind}; if it is meant as text, put it in quotes"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark) from None


def parse(text: str, model: type[Model], source: str) -> Model:
    """Reads `text` as the YAML of a `model`. `source` names it in errors. Raises DocumentError for the first fault."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        _refuse_repeated_keys(root, source)
        value = loader.construct_document(root) if root else None  # type: ignore[no-untyped-call]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DocumentError(f"{source}, line {line}: this is not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise DocumentError(f"{source}: this is not YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise DocumentError(
            f"{source}, line 1: the document: it is nested too deeply, or an alias stands for what it is a part of."
        ) from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise DocumentError(_sentence(error.errors()[0], root, source)) from None


def _sentence(fault: ErrorDetails, root: yaml.Node | None, source: str) -> str:
    place = tuple(step for step in fault["loc"])
    line, known = _line(root, place)
    sentence = f"{source}, line {line}: {_dotted(known) or 'the document'}: {_what(fault)}."
    return " ".join(sentence.split())  # a key may hold line breaks


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
            if not isinstance(key, yaml.ScalarNode):
                continue  # no key of a mapping here is anything else, and the model says so
            if key.value in seen:
                line = key.start_mark.line + 1
                raise DocumentError(f"{source}, line {line}: {key.value} stands twice in one mapping; keep one.")
            seen.add(key.value)
            _refuse_repeated_keys(value, source)
