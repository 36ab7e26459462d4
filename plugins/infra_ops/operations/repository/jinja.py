"""Text that Jinja renders: by what a value in it is replaced, and the proof that the result renders the same."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import jinja2
from jinja2 import nodes

from infra_ops.models.spellings import Found, Spelling, decode
from infra_ops.operations.repository.edits import CannotReplace, Edit

# Delimiters and newlines as Ansible has them; extensions as its `do` and loop controls need.
ENVIRONMENT = jinja2.Environment(  # noqa: S701  nothing is rendered
    keep_trailing_newline=True, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"]
)
OPENING = ("{{", "{%", "{#")


def edits(text: str, found: list[Found], variables: Mapping[Found, str], value_of: Mapping[str, str]) -> list[Edit]:
    """The replacements in a text of Jinja. Raises CannotReplace."""
    if not found:
        return []
    tokens = _tokens(text)
    return [_edit(text, tokens, each, variables[each], value_of[variables[each]]) for each in found]


def _edit(text: str, tokens: list[tuple[int, int, str]], found: Found, name: str, value: str) -> Edit:
    if any(mark in value for mark in OPENING):
        raise CannotReplace("the value itself looks like Jinja")
    for start, end, kind in tokens:
        if not start <= found.start < end:
            continue
        if found.end > end:
            break
        if kind == "data":
            return Edit(
                found.start, found.end, "{{ " + _expression(text[found.start : found.end], found, name, value) + " }}"
            )
        if kind == "comment":
            return Edit(found.start, found.end, name)
        if kind == "string" and found.spelling is Spelling.PLAIN:
            return _in_literal(text, start, end, found, name)
        if kind == "raw":
            raise CannotReplace("it stands between {% raw %} and {% endraw %}, where nothing is replaced")
        break
    raise CannotReplace("it stands inside a Jinja expression and is no string of its own")


def _in_literal(text: str, start: int, end: int, found: Found, name: str) -> Edit:
    """`'postgres://me:SECRET@host'` becomes `('postgres://me:' ~ name ~ '@host')`: filters bind tighter than `~`."""
    mark = text[start]
    before, after = text[start + 1 : found.start], text[found.end : end - 1]
    if not before and not after:
        return Edit(start, end, name)
    parts = [f"{mark}{before}{mark}"] if before else []
    parts.append(name)
    if after:
        parts.append(f"{mark}{after}{mark}")
    return Edit(start, end, f"({' ~ '.join(parts)})")


def _expression(shown: str, found: Found, name: str, value: str) -> str:
    """What renders as the text that was shown. Raises CannotReplace."""
    if found.spelling is Spelling.PLAIN:
        return name
    if found.spelling is Spelling.URL:
        for expression, written in (
            (f"{name} | urlencode", quote(value, safe="/")),
            (f"{name} | urlencode | replace('/', '%2F')", quote(value, safe="")),
        ):
            if shown == written:
                return expression
    if found.spelling is Spelling.BASE64:
        decoded = (decode(shown) or b"").decode(errors="replace")
        before, _, after = decoded.partition(value)
        simple = all(character.isalnum() or character in ":/@._- \n" for character in before + after)
        if base64.b64encode((before + value + after).encode()).decode() == shown and simple:
            parts = [_literal(before), name, _literal(after)]
            joined = " ~ ".join(part for part in parts if part)
            return f"{joined} | b64encode" if joined == name else f"({joined}) | b64encode"
    raise CannotReplace(f"it is written {found.spelling.value} in a way that no filter writes")


def _literal(text: str) -> str:
    return "'" + text.replace("\n", "\\n") + "'" if text else ""


def _tokens(text: str) -> list[tuple[int, int, str]]:
    """Start, end and kind of what matters: data, raw, string, comment. Raises CannotReplace."""
    plain = text.replace("\r", " ")  # Jinja would count \r\n as one
    found: list[tuple[int, int, str]] = []
    at, raw = 0, False
    try:
        for _, kind, value in ENVIRONMENT.lexer.tokeniter(plain, None):
            start = plain.index(value, at)
            at = start + len(value)
            if kind in ("raw_begin", "raw_end"):
                raw = kind == "raw_begin"
            elif kind == "data":
                found.append((start, at, "raw" if raw else "data"))
            elif kind in ("string", "comment"):
                found.append((start, at, kind))
    except (jinja2.TemplateSyntaxError, ValueError):
        raise CannotReplace("its file cannot be read as Jinja") from None
    return found


def renders_the_same(before: str, after: str, values: Mapping[str, str]) -> bool:
    """Whether both are the same to Jinja once the variables in `after` have these values."""
    try:
        return _folded(before, {}) == _folded(after, values)
    except jinja2.TemplateSyntaxError:
        return False


def expressions_agree(before: str, after: str, values: Mapping[str, str]) -> bool:
    """The same for a bare expression, as `when:` takes it."""
    return renders_the_same("{{ " + before + " }}", "{{ " + after + " }}", values)


def _folded(text: str, values: Mapping[str, str]) -> nodes.Template:
    tree = ENVIRONMENT.parse(text.replace("\r", " "))
    return _fold(tree, values)  # type: ignore[no-any-return]


def _fold(node: Any, values: Mapping[str, str]) -> Any:
    """Variables become their values, joined constants one, and text next to text one piece of text."""
    for name in node.fields:
        child = getattr(node, name)
        if isinstance(child, nodes.Node):
            setattr(node, name, _fold(child, values))
        elif isinstance(child, list):
            setattr(node, name, [_fold(item, values) if isinstance(item, nodes.Node) else item for item in child])
    if isinstance(node, nodes.Name) and node.name in values:
        return nodes.Const(values[node.name])
    if isinstance(node, nodes.Filter):
        return _filtered(node)
    if isinstance(node, nodes.Concat):
        parts = [str(item.value) for item in node.nodes if isinstance(item, nodes.Const)]
        return nodes.Const("".join(parts)) if len(parts) == len(node.nodes) else node
    if isinstance(node, nodes.Output):
        return nodes.Output(_joined(node.nodes))
    return node


def _filtered(node: nodes.Filter) -> Any:
    if not isinstance(node.node, nodes.Const) or not isinstance(node.node.value, str):
        return node
    value, arguments = node.node.value, [getattr(item, "value", None) for item in node.args]
    if node.name == "urlencode" and not arguments:
        return nodes.Const(quote(value, safe="/"))
    if node.name == "b64encode" and not arguments:
        return nodes.Const(base64.b64encode(value.encode()).decode())
    if node.name == "replace" and arguments == ["/", "%2F"]:
        return nodes.Const(value.replace("/", "%2F"))
    return node


def _joined(items: list[Any]) -> list[Any]:
    """Text and constants side by side render as one text."""
    joined: list[Any] = []
    for item in items:
        text = _text(item)
        if text is None:
            joined.append(item)
        elif joined and isinstance(joined[-1], nodes.TemplateData):
            joined[-1] = nodes.TemplateData(joined[-1].data + text)
        else:
            joined.append(nodes.TemplateData(text))
    return joined


def _text(item: Any) -> str | None:
    if isinstance(item, nodes.TemplateData):
        return item.data
    return item.value if isinstance(item, nodes.Const) and isinstance(item.value, str) else None
