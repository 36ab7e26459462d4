"""How the body of a write becomes an object of its kind: envelope, unknown fields, defaults, validation."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any

from lab.apiserver import defaults, errors, validation
from lab.apiserver.authorization import User
from lab.apiserver.errors import Cause
from lab.apiserver.resources import Resource
from lab.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]

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

    def schema(self, resource: Resource) -> Schema | None:
        return self.schemas.find(resource.group, resource.version, resource.kind)

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
        """Deal with fields that the kind does not have: refuse (Strict), warn (Warn), and drop them.

        Raises ApiError 400, or 422 where a patch brought the fields.
        """
        unknown = validation.check(self.schemas, self.schema(resource), obj).unknown
        if not unknown:
            return
        complaints = [f'unknown field "{path}"' for path in unknown]
        if options.validation == "Strict":
            text = f"strict decoding error: {', '.join(complaints)}"
            if options.patch:
                raise errors.invalid("", "", "", [("patch", f'Invalid value: "{options.patch}": {text}')])
            raise errors.bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {text}'
            )
        if options.validation == "Warn":
            options.warnings.extend(complaints)
        validation.prune(obj, unknown)

    def defaults(self, resource: Resource, obj: Object) -> None:
        """Fill in what a real server fills in, in place."""
        defaults.apply_defaults(self.schemas, self.schema(resource), obj)

    def check(self, resource: Resource, obj: Object) -> list[Cause]:
        """What is wrong with an object by its schema: (field, message) pairs."""
        return validation.check(self.schemas, self.schema(resource), obj).errors


def _without_nulls(value: Any) -> Any:
    """A null is a missing field: Go's decoder leaves it at its zero value."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
