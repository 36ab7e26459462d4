"""What a request asks for: its user, verb and target, read from method, path, query and headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.apiserver import errors, selectors
from lab.apiserver.authorization import Attributes, User
from lab.apiserver.resources import Resource, Resources

Object = dict[str, Any]

_ITEM_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_COLLECTION_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_UNNAMED = "unknown"


@dataclass(frozen=True)
class Target:
    """The object or collection that a path names; ``verb`` is what the authorizer is asked about."""

    verb: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def attributes(self, query: Mapping[str, str]) -> Attributes:
        return Attributes(
            verb=self.verb,
            group=self.resource.group,
            resource=self.resource.plural,
            subresource=self.subresource,
            name=self.name or (selectors.named(query) if self.verb != "create" else ""),
            # A namespace lies in itself: a RoleBinding there may allow to read it.
            namespace=self.name if self.resource.id == ("", "namespaces") else self.namespace,
        )


@dataclass
class Request:
    """One HTTP request. ``warnings`` collects what the response's Warning headers will say."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    user: User
    extra: Mapping[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    warnings: list[str] = field(default_factory=list)

    def flag(self, name: str) -> bool:
        return flag(self.query, name)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").split(";")[0].strip()

    @property
    def manager(self) -> str:
        """The field manager: named by the client, or the start of its User-Agent."""
        return self.query.get("fieldManager") or self.headers.get("user-agent", _UNNAMED).split("/")[0]


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean of a query as the API machinery reads it: only an absent one, ``0`` and ``false`` are false.

    Python's clients send ``True``; a bare ``?watch`` counts too (Convert_Slice_string_To_bool in apimachinery).
    """
    return name in query and query[name].lower() not in ("false", "0")


def target(method: str, path: str, query: Mapping[str, str], resources: Resources) -> Target | None:
    """What a path below /api or /apis names; None when the server has no such resource.

    Raises ApiError 405 for a method that the resource does not know.
    """
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = resources.find(group, version, rest[0])
    if resource is None or len(rest) > 3 or (namespace and not resource.namespaced):
        return None
    name, subresource = (rest[1] if len(rest) > 1 else ""), (rest[2] if len(rest) > 2 else "")
    if subresource and subresource not in resource.subresources:
        return None
    if name and resource.namespaced and not namespace:
        return None
    verb = _verb(method, name, query)
    known = resource.subresources[subresource].verbs if subresource else resource.verbs
    if verb not in known or (verb == "create" and resource.namespaced and not namespace):
        raise errors.method_not_allowed()
    return Target(verb, resource, namespace, name, subresource)


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method not in _ITEM_VERBS:
        raise errors.method_not_allowed()
    if not name:
        verb = _COLLECTION_VERBS.get(method)
        if verb is None:
            raise errors.method_not_allowed()
        return "watch" if verb == "list" and flag(query, "watch") else verb
    if method == "POST":
        return "create"
    return _ITEM_VERBS[method]
