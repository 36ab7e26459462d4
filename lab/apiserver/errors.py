"""The server's refusals: every one is a Kubernetes Status, worded as a real API server words it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.apiserver.resources import Resource

Cause = tuple[str, str]  # (path of a field, what is wrong with it)


class ApiError(Exception):
    """A request was refused; ``status`` is the Status object that the client receives."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
            **({"details": details} if details else {}),
            "code": code,
        }


def success(details: dict[str, Any] | None = None, code: int | None = None) -> dict[str, Any]:
    """The Status of a request that succeeded and has no object to show."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        **({"details": details} if details else {}),
        **({"code": code} if code else {}),
    }


def _details(resource: Resource, name: str, **more: Any) -> dict[str, Any]:
    named = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in {**named, **more}.items() if value}


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, message: str) -> ApiError:
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {message}", _details(resource, name))


def terminating(resource: Resource, name: str, namespace: str) -> ApiError:
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    message = f"unable to create new content in namespace {namespace} because it is being terminated"
    refusal = forbidden(resource, name, message)
    details = _details(resource, name, causes=[cause])
    return ApiError(403, "Forbidden", str(refusal), details)


def forbidden_path(message: str) -> ApiError:
    return ApiError(403, "Forbidden", f"forbidden: {message}", {})


def not_found(resource: Resource, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def no_such_resource() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def not_allowed(message: str) -> ApiError:
    return ApiError(405, "MethodNotAllowed", message, {})


def method_not_allowed() -> ApiError:
    return not_allowed("the server does not allow this method on the requested resource")


def already_exists(resource: Resource, name: str) -> ApiError:
    message = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, message: str, **details: Any) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {message}'
    return ApiError(409, "Conflict", message, _details(resource, name, **details))


def modified(resource: Resource, name: str) -> ApiError:
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def expired(message: str, **details: Any) -> ApiError:
    error = ApiError(410, "Expired", message)
    error.status["metadata"] = details
    return error


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    message = "the body of the request was in an unknown format - accepted media types include: "
    return ApiError(415, "UnsupportedMediaType", message + ", ".join(accepted))


def invalid(group: str, kind: str, name: str, causes: Iterable[Cause]) -> ApiError:
    """422: ``causes`` are (field, message) pairs; messages begin as a real server's (``Required value``, …)."""
    found = list(causes)
    texts = [f"{field}: {message}" for field, message in found]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    qualified = f"{kind}.{group}" if group else kind
    details = {
        "name": name,
        "group": group,
        "kind": kind,
        "causes": [{"reason": _reason(message), "message": message, "field": field} for field, message in found],
    }
    return ApiError(
        422,
        "Invalid",
        f'{qualified} "{name}" is invalid: {text}',
        {key: value for key, value in details.items() if value},
    )


_REASONS = {
    "Required value": "FieldValueRequired",
    "Duplicate value": "FieldValueDuplicate",
    "Unsupported value": "FieldValueNotSupported",
    "Forbidden": "FieldValueForbidden",
    "Not found": "FieldValueNotFound",
    "Too long": "FieldValueTooLong",
}


def _reason(message: str) -> str:
    return _REASONS.get(message.split(":")[0], "FieldValueInvalid")


def too_many_requests(message: str, **details: Any) -> ApiError:
    return ApiError(429, "TooManyRequests", message, details)


def internal(message: str) -> ApiError:
    details = {"causes": [{"message": message}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", details)


def too_large_resource_version(asked: int, current: int) -> ApiError:
    message = f"Too large resource version: {asked}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiError(504, "Timeout", f"Timeout: {message}", {"causes": [cause], "retryAfterSeconds": 1})
