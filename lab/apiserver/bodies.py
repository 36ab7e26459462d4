"""Reading what a client sent: JSON, YAML or protobuf bodies, and the parameters of a write."""

from __future__ import annotations

import json
from typing import Any

import yaml

from lab.apiserver import errors, protobuf
from lab.apiserver.decoding import Options
from lab.apiserver.requests import Request, Target

Object = dict[str, Any]

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
VALIDATION = ("Ignore", "Strict", "Warn")
LONGEST_MANAGER = 128
_OPTION_KINDS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def read(request: Request, *, custom: bool = False) -> Any:
    """The body as plain data; None when there is none.

    Raises ApiError: 400 for what cannot be parsed, 415 for another format (custom kinds have no protobuf).
    """
    if not request.body:
        return None
    kind = request.content_type or JSON
    try:
        if kind == PROTOBUF and not custom:
            return protobuf.decode(request.body)
        if kind in (JSON, "*/*"):
            return json.loads(request.body)
        if kind == YAML:
            return load_yaml(request.body)
    except protobuf.Unsupported as error:
        raise errors.unsupported_media_type((f"{JSON} ({error})", YAML)) from None
    except (ValueError, yaml.YAMLError) as error:
        message = f"couldn't get version/kind; json parse error: {error}"
        raise errors.bad_request(f"the object provided is unrecognized: {message}") from None
    raise errors.unsupported_media_type((JSON, YAML) if custom else (JSON, YAML, PROTOBUF))


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a time stays the text that it is, and so does a lone ``=``."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("timestamp", "value")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load_yaml(text: bytes) -> Any:
    """Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that knows even less


def options(request: Request, target: Target) -> Options:
    """The parameters of a write. Raises ApiError 422 for values that do not exist."""
    query = request.query
    causes = []
    dry_run, mode = query.get("dryRun", ""), query.get("fieldValidation") or "Warn"
    if dry_run not in ("", "All"):
        causes.append(("dryRun", f'Unsupported value: []string{{"{dry_run}"}}: supported values: "All"'))
    if mode not in VALIDATION:
        supported = ", ".join(f'"{name}"' for name in ("", *VALIDATION))
        causes.append(("fieldValidation", f'Unsupported value: "{mode}": supported values: {supported}'))
    manager = query.get("fieldManager", "")
    if len(manager) > LONGEST_MANAGER:
        causes.append(("fieldManager", f"Too long: may not be more than {LONGEST_MANAGER} bytes"))
    if not manager.isprintable():
        causes.append(("fieldManager", f'Invalid value: "{manager}": should only contain printable characters'))
    if causes:
        raise errors.invalid("meta.k8s.io", _OPTION_KINDS.get(target.verb, "DeleteOptions"), "", causes)
    return Options(request.user, request.manager, bool(dry_run), mode, warnings=request.warnings)
