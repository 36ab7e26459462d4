"""The verbs that work alike on every resource: get, list, watch, create, update, patch, delete, deletecollection."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from lab.apiserver import bodies, deletion, errors, lists, patching, representation, selectors, watch
from lab.apiserver.access import Access
from lab.apiserver.registry import Registry
from lab.apiserver.representation import Form
from lab.apiserver.requests import Request, Target
from lab.apiserver.resources import Subresource
from lab.apiserver.responses import Response, json_response

Object = dict[str, Any]

# Kinds whose deletion answers the object; the others answer a Status.
RETURN_DELETED = frozenset(
    ("", plural)
    for plural in ("pods", "persistentvolumes", "persistentvolumeclaims", "podtemplates", "resourcequotas",
                   "serviceaccounts", "services")
)  # fmt: skip
DELETE_OPTIONS = Subresource("", "v1", "DeleteOptions", ())


class Verbs:
    """Answers requests about objects and collections."""

    def __init__(self, registry: Registry, access: Access) -> None:
        self._registry = registry
        self._access = access

    def answer(self, request: Request, target: Target) -> Response:
        """Carry out the verb of ``target``. Raises ApiError."""
        match target.verb:
            case "get":
                return self._get(request, target)
            case "list":
                return self._list(request, target)
            case "watch":
                return self._watch(request, target)
            case "create":
                return self._create(request, target)
            case "update":
                return self._update(request, target)
            case "patch":
                return self._patch(request, target)
            case "delete":
                return self._delete(request, target)
            case "deletecollection":
                return self._delete_collection(request, target)
        raise errors.method_not_allowed()

    def _get(self, request: Request, target: Target) -> Response:
        asked, current = lists.resource_version(request.query), self._registry.store.revision
        if asked > current:
            raise errors.too_large_resource_version(asked, current)
        return _object(request, target, self._registry.get(target.resource, target.namespace, target.name))

    def _list(self, request: Request, target: Target) -> Response:
        page = lists.read(self._registry, target.resource, target.namespace, request.query)
        return Response(body=representation.page(target.resource, page, _form(request)))

    def _watch(self, request: Request, target: Target) -> Response:
        resource, wanted = target.resource, _form(request)
        notices = watch.start(self._registry, resource, target.namespace, request.query)

        async def lines() -> AsyncGenerator[bytes, None]:
            first = True
            async with aclosing(notices):
                async for told in notices:
                    yield representation.notice(resource, told, wanted, first)
                    first = False

        return Response(stream=lines())

    def _create(self, request: Request, target: Target) -> Response:
        resource = target.resource
        body = bodies.read(request, custom=resource.custom is not None)
        options = bodies.options(request, target)
        return _object(request, target, self._registry.create(resource, target.namespace, body, options), code=201)

    def _update(self, request: Request, target: Target) -> Response:
        resource = target.resource
        body = bodies.read(request, custom=resource.custom is not None)
        changed = self._registry.update(
            resource,
            target.namespace,
            target.name,
            lambda _: body,
            bodies.options(request, target),
            subresource=target.subresource,
        )
        return _object(request, target, changed)

    def _patch(self, request: Request, target: Target) -> Response:
        changed, new = patching.patch(self._registry, self._access, request, target)
        return _object(request, target, changed, code=201 if new else 200)

    def _delete(self, request: Request, target: Target) -> Response:
        resource = target.resource
        body = self._delete_body(request)
        how = deletion.read_options(body, request.query)
        options = bodies.options(request, target)
        options.dry_run = options.dry_run or bool(body.get("dryRun"))
        last, gone = deletion.delete(self._registry, resource, target.namespace, target.name, how, options)
        code = 202 if not gone and (how.policy == "Foreground" or how.orphan is False) else 200
        if not gone or resource.id in RETURN_DELETED:
            return _object(request, target, last, code)
        details = {
            "name": target.name,
            "group": resource.group,
            "kind": resource.plural,
            "uid": last["metadata"]["uid"],
        }
        return json_response(errors.success({key: value for key, value in details.items() if value}), code)

    def _delete_body(self, request: Request) -> Object:
        return self._registry.decoder.typed(DELETE_OPTIONS, bodies.read(request))

    def _delete_collection(self, request: Request, target: Target) -> Response:
        resource = target.resource
        body = self._delete_body(request)
        how = deletion.read_options(body, request.query)
        options = bodies.options(request, target)
        options.dry_run = options.dry_run or bool(body.get("dryRun"))
        matches = selectors.selector(resource, request.query)
        ended = []
        for item in self._registry.list(resource, target.namespace):
            if matches(item):
                own = item["metadata"]
                last, _ = deletion.delete(self._registry, resource, own.get("namespace", ""), own["name"], how, options)
                ended.append(last)
        meta = {"resourceVersion": str(self._registry.store.revision)}
        kind = resource.list_kind or resource.kind + "List"
        return json_response({"kind": kind, "apiVersion": resource.api_version, "metadata": meta, "items": ended})


def _form(request: Request) -> Form:
    return representation.form(request.headers.get("accept", ""))


def _object(request: Request, target: Target, obj: Object, code: int = 200) -> Response:
    return Response(code, representation.one(target.resource, obj, _form(request)))
