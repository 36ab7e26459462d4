"""PATCH requests: the four kinds of patches, and the object that each makes."""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml

from lab.apiserver import apply, bodies, errors, patches
from lab.apiserver.access import Access, refusal
from lab.apiserver.decoding import Options
from lab.apiserver.errors import ApiError
from lab.apiserver.registry import Registry, now
from lab.apiserver.requests import Request, Target
from lab.apiserver.resources import Resource

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def patched(registry: Registry, resource: Resource, request: Request, live: Object) -> Object:
    """``live`` after a JSON, merge or strategic merge patch. Raises ApiError 400, 415 and 422."""
    kind = request.content_type
    if kind not in (JSON_PATCH, MERGE_PATCH, *(() if resource.custom else (STRATEGIC_PATCH,))):
        raise _unsupported(resource)
    try:
        patch = json.loads(request.body)
        if kind == JSON_PATCH:
            found = patches.json_patch(live, patch)
        elif kind == MERGE_PATCH:
            found = patches.merge_patch(live, patch)
        else:
            found = patches.strategic_merge(registry.schemas, registry.decoder.schema(resource), live, patch)
    except patches.MalformedPatch as error:
        raise errors.bad_request(str(error)) from None
    except patches.PatchError as error:
        raise _rejected(str(error)) from None
    except ValueError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None
    if not isinstance(found, dict):
        raise _rejected("the patch leaves no object")
    return found


def patch(registry: Registry, access: Access, request: Request, target: Target) -> tuple[Object, bool]:
    """Carry out a PATCH request; returns the object and whether it is new (only an apply makes new ones)."""
    options = bodies.options(request, target)
    if request.content_type == APPLY_PATCH:
        return _apply(registry, access, request, target, options)
    if "force" in request.query:
        cause = ("force", "Forbidden: may not be specified for non-apply patch")
        raise errors.invalid("meta.k8s.io", "PatchOptions", "", [cause])
    resource = target.resource
    options.patch = request.body.decode(errors="replace")
    changed = registry.update(
        resource,
        target.namespace,
        target.name,
        lambda live: patched(registry, resource, request, live),
        options,
        subresource=target.subresource,
    )
    return changed, False


def _apply(
    registry: Registry, access: Access, request: Request, target: Target, options: Options
) -> tuple[Object, bool]:
    resource = target.resource
    applied = _configuration(request, target)

    def merged(live: Object | None) -> Object:
        try:
            return apply.server_side_apply(
                registry.schemas,
                registry.decoder.schema(resource),
                live,
                applied,
                manager=options.manager,
                api_version=resource.api_version,
                subresource=target.subresource,
                force=request.flag("force"),
                now=now(),
            )
        except apply.Conflicts as error:
            raise ApiError(409, "Conflict", str(error), {"causes": error.causes}) from None
        except apply.ApplyError as error:
            if str(error).startswith("failed to create typed patch object"):
                raise ApiError(500, "", str(error)) from None
            raise errors.bad_request(str(error)) from None

    if registry.find(resource, target.namespace, target.name):
        place = (resource, target.namespace, target.name)
        return registry.update(*place, merged, options, subresource=target.subresource, applied=True), False
    if target.subresource:
        raise errors.not_found(resource, target.name)
    _check_new(access, request, target, applied)
    return registry.create(resource, target.namespace, merged(None), options, applied=True), True


def _check_new(access: Access, request: Request, target: Target, applied: Object) -> None:
    """An apply that creates needs leave to create, and no uid of an object that is not there."""
    creation = Target("create", target.resource, target.namespace, target.name)
    attributes = creation.attributes({})
    decision = access.decide(request.user, attributes)
    if not decision.allowed:
        raise refusal(request.user, attributes, creation, decision.reason)
    uid = applied["metadata"].get("uid")
    if uid:
        message = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise errors.conflict(target.resource, target.name, message)


def _configuration(request: Request, target: Target) -> Object:
    """The body of an apply, without what this endpoint does not write."""
    if not request.query.get("fieldManager"):
        cause = ("fieldManager", "Required value: is required for apply patch")
        raise errors.invalid("meta.k8s.io", "PatchOptions", "", [cause])
    try:
        applied = bodies.load_yaml(request.body)
    except yaml.YAMLError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from None
    if not isinstance(applied, dict) or not isinstance(applied.get("metadata") or {}, dict):
        raise errors.bad_request("error decoding YAML: an object is needed")
    resource = target.resource
    applied = copy.deepcopy(applied)
    own = applied["metadata"] = applied.get("metadata") or {}
    if own.setdefault("name", target.name) != target.name:
        raise errors.bad_request(
            f"the name of the object ({own['name']}) does not match the name on the URL ({target.name})"
        )
    if applied.setdefault("kind", resource.kind) != resource.kind:
        raise errors.bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    if target.subresource == "status":
        named = {key: own[key] for key in ("name", "namespace", "resourceVersion", "uid") if key in own}
        kept = {key: value for key, value in applied.items() if key in ("apiVersion", "kind", "status")}
        return {**kept, "metadata": named}
    if resource.has_status:
        applied.pop("status", None)
    return applied


def _unsupported(resource: Resource) -> ApiError:
    if resource.custom:
        return errors.unsupported_media_type((JSON_PATCH, MERGE_PATCH, APPLY_PATCH))
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def _rejected(message: str) -> ApiError:
    cause = {"reason": "UnexpectedServerResponse", "message": message}
    text = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", text, {"causes": [cause]})
