"""Which names, label keys and label values an object may have.

Rules and texts: k8s.io/apimachinery/pkg/util/validation and the validation of each kind; documentation:
https://kubernetes.io/docs/concepts/overview/working-with-objects/names/.
"""

from __future__ import annotations

import re
from typing import Any

Object = dict[str, Any]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

# rule -> (greatest length, regular expression, what a real server says)
RULES = {
    "subdomain": (
        253,
        _SUBDOMAIN,
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')",
    ),
    "label": (
        63,
        _LABEL,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')",
    ),
    "rfc1035": (
        63,
        "[a-z]([-a-z0-9]*[a-z0-9])?",
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
        "is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    ),
    "path": (1024, r"(?!\.{1,2}$)[^/%]+", "may not be '.' or '..' and may not contain '/' or '%'"),
    "qualified": (
        63,
        _QUALIFIED,
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        f"'{_QUALIFIED}')",
    ),
    "value": (
        63,
        f"({_QUALIFIED})?",
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
        f"validation is '({_QUALIFIED})?')",
    ),
    "data": (
        253,
        r"(?!\.{1,2}$)[-._a-zA-Z0-9]+",
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',"
        "  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    ),
}
# Resources whose names are not the usual RFC 1123 subdomains.
NAME_RULES = {
    "namespaces": "label",
    "services": "rfc1035",
    "roles": "path",
    "clusterroles": "path",
    "rolebindings": "path",
    "clusterrolebindings": "path",
    "certificatesigningrequests": "subdomain",
}


def name_errors(plural: str, obj: Object) -> list[tuple[str, str]]:
    """What is wrong with the name, labels, annotation keys and data keys of an object: (field, message) pairs."""
    meta = obj.get("metadata") or {}
    found = []
    complaint = _breach(NAME_RULES.get(plural, "subdomain"), meta.get("name", ""))
    if complaint:
        found.append(("metadata.name", f'Invalid value: "{meta.get("name", "")}": {complaint}'))
    for key, value in (meta.get("labels") or {}).items():
        found += _key_errors("metadata.labels", key)
        complaint = _breach("value", value or "")
        if complaint:
            found.append(("metadata.labels", f'Invalid value: "{value}": {complaint}'))
    for key in meta.get("annotations") or {}:
        found += _key_errors("metadata.annotations", key.lower())
    if plural in ("configmaps", "secrets"):
        for key in {**(obj.get("data") or {}), **(obj.get("binaryData") or {})}:
            complaint = _breach("data", key)
            if complaint:
                found.append((f"data[{key}]", f'Invalid value: "{key}": {complaint}'))
    return found


def _key_errors(path: str, key: str) -> list[tuple[str, str]]:
    """A label or annotation key is a name with an optional DNS prefix."""
    prefix, slash, name = key.rpartition("/")
    complaint = _breach("qualified", name)
    if not complaint and slash:
        complaint = _breach("subdomain", prefix)
        complaint = complaint and f"prefix part {complaint}"
    return [(path, f'Invalid value: "{key}": {complaint}')] if complaint else []


def _breach(rule: str, text: str) -> str | None:
    longest, expression, complaint = RULES[rule]
    if len(text) > longest:
        return f"must be no more than {longest} characters"
    return None if re.fullmatch(expression, text) else complaint
