"""How the body of a write becomes an object of its kind: envelope, unknown fields, defaults, validation."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any

from lab.apiserver import defaults, errors, quantities, validation
from lab.apiserver.authorization import User
from lab.apiserver.errors import ApiError, Cause
from lab.apiserver.resources import Resource, Subresource
from lab.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]

WRONG_TYPE = "in body must be of type"  # how validation.check tells a wrong type from a wrong value
SYSTEM = User("system:apiserver", "", ("system:masters",))


@dataclass
class Options:
    """What a request says about a write: who writes under which manager's name, and how strictly it is read."""

    user: User = SYSTEM
    manager: str = "kube-apiserver"
    dry_run: bool = False
    validation: str = "Ignore"  # of unknown fields: Ignore, Warn or Strict
    patch: str = ""  # the patch that made the object, where one did
    warnings: list[str] = field(default_factory=list)


class Decoder:
    """Reads objects by the schemas of their kinds."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas

    def schema(self, kind: Resource | Subresource) -> Schema | None:
        return self.schemas.find(kind.group, kind.version, kind.kind)

    def envelope(self, resource: Resource, body: Any) -> Object:
        """A copy of ``body`` that says which kind it is and has metadata. Raises ApiError 400 for another kind."""
        if not isinstance(body, dict) or not isinstance(body.get("metadata") or {}, dict):
            raise errors.bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
                "json: cannot unmarshal the body into an object"
            )
        for name in ("apiVersion", "kind"):
            if resource.custom and not body.get(name):
                shown = json.dumps(body)
                raise errors.bad_request(f"Object '{name[0].upper()}{name[1:]}' is missing in '{shown}'")
        kind = body.get("kind") or resource.kind
        version = body.get("apiVersion") or resource.api_version
        if kind != resource.kind:
            raise errors.bad_request(
                f"the object provided is unrecognized (must be of type {resource.kind}): "
                f"{kind} in version {version!r} was sent"
            )
        if version != resource.api_version:
            raise errors.bad_request(
                f"the API version in the data ({version}) does not match the expected API version "
                f"({resource.api_version})"
            )
        new = copy.deepcopy(body)
        new["apiVersion"], new["kind"], new["metadata"] = version, kind, new.get("metadata") or {}
        found: Object = _without_nulls(new)
        return found

    def fields(self, resource: Resource, obj: Object, options: Options) -> None:
        """Refuse values of a wrong type; refuse (Strict), tell (Warn) and drop fields that the kind does not have.

        Raises ApiError 400, or 422 where a patch brought them or where the kind is a custom one.
        """
        findings = validation.check(self.schemas, self.schema(resource), obj)
        wrong = [(path, text) for path, text in findings.errors if WRONG_TYPE in text]
        if wrong and resource.custom:
            raise errors.invalid(resource.group, resource.kind, obj["metadata"].get("name", ""), wrong)
        if wrong:
            raise self._undecodable(resource, _go_complaint(resource.kind, *wrong[0]), options.patch)
        if any(quantities.SYNTAX in text for _, text in findings.errors):
            raise self._undecodable(resource, quantities.SYNTAX, options.patch)
        if not findings.unknown:
            return
        complaints = [f'unknown field "{path}"' for path in findings.unknown]
        if options.validation == "Strict":
            text = f"strict decoding error: {', '.join(complaints)}"
            raise self._undecodable(resource, text, options.patch)
        if options.validation == "Warn":
            options.warnings.extend(complaints)
        validation.prune(obj, findings.unknown)

    def typed(self, kind: Resource | Subresource, body: Any) -> Object:
        """The body of a request that is no stored object (a review, a Scale): an object with fields of the right types.

        Raises ApiError 400.
        """
        body = {} if body is None else body
        if not isinstance(body, dict) or body.get("kind", kind.kind) != kind.kind:
            raise errors.bad_request(f"the object provided is unrecognized (must be of type {kind.kind})")
        findings = validation.check(self.schemas, self.schema(kind), body)
        for path, text in findings.errors:
            if WRONG_TYPE in text:
                raise self._undecodable(kind, _go_complaint(kind.kind, path, text))
        return body

    def _undecodable(self, kind: Resource | Subresource, text: str, patch: str = "") -> ApiError:
        if patch:
            return errors.invalid("", "", "", [("patch", f'Invalid value: "{patch}": {text}')])
        name = kind.kind
        return errors.bad_request(f'{name} in version "{kind.version}" cannot be handled as a {name}: {text}')

    def defaults(self, resource: Resource, obj: Object) -> None:
        """Fill in what a real server fills in, in place."""
        defaults.apply_defaults(self.schemas, self.schema(resource), obj)

    def check(self, resource: Resource, obj: Object) -> list[Cause]:
        """What is wrong with an object by its schema: (field, message) pairs."""
        return validation.check(self.schemas, self.schema(resource), obj).errors


def _go_complaint(kind: str, path: str, text: str) -> str:
    """A complaint of ``validation.check`` in the words of Go's decoder."""
    found, wanted = text.split('"')[1], text.split(WRONG_TYPE)[1].split(":")[0].strip()
    return f"json: cannot unmarshal {found} into Go struct field {kind}.{path} of type {wanted}"


def _without_nulls(value: Any) -> Any:
    """A null is a missing field: Go's decoder leaves it at its zero value. As an item of a list it is refused."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        if None in value:
            raise errors.bad_request("json: cannot unmarshal null into an item of a list")
        return [_without_nulls(item) for item in value]
    return value
