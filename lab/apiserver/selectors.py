"""Label and field selectors: which objects a list or a watch is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.apiserver.errors import bad_request
from lab.apiserver.resources import Resource

Object = dict[str, Any]
Labels = Mapping[str, str]
Matcher = Callable[[Object], bool]

_POD_FIELDS = (
    "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
    "status.phase", "status.podIP", "status.nominatedNodeName",
)  # fmt: skip
_EVENT_FIELDS = (
    "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
    "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
    "reportingComponent", "source", "type",
)  # fmt: skip
# The fields beyond metadata.name and metadata.namespace; the server refuses any other, kind by kind.
FIELDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): _POD_FIELDS,
    ("", "events"): _EVENT_FIELDS,
    ("", "nodes"): ("spec.unschedulable",),
    ("", "namespaces"): ("status.phase",),
    ("", "secrets"): ("type",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("", "replicationcontrollers"): ("status.replicas",),
    ("batch", "jobs"): ("status.successful",),
    ("certificates.k8s.io", "certificatesigningrequests"): ("spec.signerName",),
}
# Where a field selector's path differs from the object's.
FIELD_PLACES = {"source": "source.component", "status.successful": "status.succeeded"}
ALWAYS = ("metadata.name", "metadata.namespace")

_KEY = r"[A-Za-z0-9./_-]+"
_VALUE = r"[A-Za-z0-9._-]*"
_REQUIREMENT = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<missing>{_KEY})"
    rf"|(?P<key>{_KEY})\s*(?:(?P<op>==|=|!=|>|<)\s*(?P<value>{_VALUE})"
    rf"|\s(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,|$)"
)


def selector(resource: Resource, query: Mapping[str, str]) -> Matcher:
    """The test that ``labelSelector`` and ``fieldSelector`` of a request describe.

    Raises ApiError 400 for what cannot be parsed and for fields that this kind cannot be selected by.
    """
    labels = _labels(query.get("labelSelector", ""))
    fields = _fields(resource, query.get("fieldSelector", ""))

    def matches(obj: Object) -> bool:
        own = obj["metadata"].get("labels") or {}
        return all(test(own) for test in labels) and all(test(obj) for test in fields)

    return matches


def by_object(spec: Mapping[str, Any] | None) -> Callable[[Labels], bool]:
    """The test that a LabelSelector object (``matchLabels``, ``matchExpressions``) describes; None matches nothing."""
    if spec is None:
        return lambda labels: False
    tests = [_equals(key, value) for key, value in (spec.get("matchLabels") or {}).items()]
    for expression in spec.get("matchExpressions") or []:
        key, values = expression["key"], set(expression.get("values") or [])
        match expression["operator"]:
            case "In":
                tests.append(_is_in(key, values))
            case "NotIn":
                tests.append(_not(_is_in(key, values)))
            case "Exists":
                tests.append(_exists(key))
            case "DoesNotExist":
                tests.append(_not(_exists(key)))
    return lambda labels: all(test(labels) for test in tests)


def named(query: Mapping[str, str]) -> str:
    """The one name that a fieldSelector asks for, or an empty string."""
    for term in query.get("fieldSelector", "").split(","):
        match = re.fullmatch(r"metadata\.name={1,2}(.+)", term)
        if match:
            return match[1]
    return ""


def _equals(key: str, value: str) -> Callable[[Labels], bool]:
    return lambda labels: labels.get(key) == value


def _is_in(key: str, values: set[str]) -> Callable[[Labels], bool]:
    return lambda labels: labels.get(key) in values


def _exists(key: str) -> Callable[[Labels], bool]:
    return lambda labels: key in labels


def _not(test: Callable[[Labels], bool]) -> Callable[[Labels], bool]:
    return lambda labels: not test(labels)


def _compares(key: str, operator: str, bound: int) -> Callable[[Labels], bool]:
    def test(labels: Labels) -> bool:
        try:
            number = int(labels[key])
        except (KeyError, ValueError):
            return False
        return number > bound if operator == ">" else number < bound

    return test


def _labels(text: str) -> list[Callable[[Labels], bool]]:
    tests: list[Callable[[Labels], bool]] = []
    position = 0
    while position < len(text):
        match = _REQUIREMENT.match(text, position)
        if match is None or match.end() == position:
            raise bad_request(f"unable to parse requirement: cannot understand {text[position:]!r}")
        position = match.end()
        key, value = match["key"], match["value"]
        if match["absent"]:
            tests.append(_not(_exists(match["missing"])))
        elif match["set"]:
            values = {item.strip() for item in match["values"].split(",")}
            tests.append(_is_in(key, values) if match["set"] == "in" else _not(_is_in(key, values)))
        elif match["op"] in ("=", "=="):
            tests.append(_equals(key, value))
        elif match["op"] == "!=":
            tests.append(_not(_equals(key, value)))
        elif match["op"]:
            if not re.fullmatch(r"-?\d+", value):
                raise bad_request(f"unable to parse requirement: {key} {match['op']} needs an integer, not {value!r}")
            tests.append(_compares(key, match["op"], int(value)))
        else:
            tests.append(_exists(key))
    return tests


def _fields(resource: Resource, text: str) -> list[Matcher]:
    tests: list[Matcher] = []
    for term in filter(None, text.split(",")):
        parts = re.fullmatch(r"(.*?)(!=|==|=)(.*)", term)
        if parts is None:
            raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
        field, operator, value = parts.groups()
        _check_field(resource, field)
        tests.append(_field(FIELD_PLACES.get(field, field), value, wanted=operator != "!="))
    return tests


def _check_field(resource: Resource, field: str) -> None:
    known = FIELDS.get(resource.id)
    if resource.custom:
        known = tuple(item["jsonPath"].lstrip(".") for item in resource.custom.get("selectableFields") or ())
    if field in ALWAYS or field in (known or ()):
        return
    if known is None:
        raise bad_request(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')
    raise bad_request(f"field label not supported: {field}")


def _field(path: str, value: str, wanted: bool) -> Matcher:
    steps = path.split(".")

    def test(obj: Object) -> bool:
        found: Any = obj
        for step in steps:
            found = found.get(step) if isinstance(found, dict) else None
        return (_text(found, path) == value) is wanted

    return test


def _text(value: Any, path: str) -> str:
    if value is None:
        # The zero values of the two fields that are not strings.
        return {"spec.unschedulable": "false", "spec.hostNetwork": "false", "status.succeeded": "0"}.get(path, "")
    return str(value).lower() if isinstance(value, bool) else str(value)
