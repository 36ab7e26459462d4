"""The environment variables and the argv of a container."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab.kube import Kube, Object
from lab.kubelet.images import Image
from lab.kubelet.references import MissingReferenceError, data_of, field_of, resource_of

_EXPANSION = re.compile(r"\$\$|\$\(([^()]*)\)")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replaces `$(NAME)` by its value as Kubernetes does: an unknown name stays as written, `$$` is one dollar sign."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return _EXPANSION.sub(value, text)


def argv_of(container: Object, image: Image, variables: Mapping[str, str]) -> list[str]:
    """The argv of a container: its `command` replaces all of the image's, its `args` the image's arguments."""
    command, arguments = container.get("command"), container.get("args")
    words = [*(command or image.run), *(arguments or ([] if command else image.arguments))]
    return [expand(word, variables) for word in words]


async def environment_of(kube: Kube, pod: Object, container: Object, base: Mapping[str, str]) -> dict[str, str]:
    """`base` overlaid by a container's `envFrom` and `env`; raises MissingReferenceError."""
    variables = dict(base)
    namespace = pod["metadata"]["namespace"]
    for source in container.get("envFrom") or []:
        kind, reference = (
            ("Secret", source["secretRef"]) if "secretRef" in source else ("ConfigMap", source["configMapRef"])
        )
        data = await data_of(kube, kind, namespace, reference["name"], optional=reference.get("optional", False))
        names = {source.get("prefix", "") + key: value for key, value in data.items()}
        variables |= {name: value.decode() for name, value in names.items() if _VARIABLE.fullmatch(name)}
    for entry in container.get("env") or []:
        if "valueFrom" not in entry:
            variables[entry["name"]] = expand(entry.get("value") or "", variables)
            continue
        value = await _value_from(kube, pod, container, entry["valueFrom"])
        if value is not None:
            variables[entry["name"]] = value
    return variables


async def _value_from(kube: Kube, pod: Object, container: Object, source: Object) -> str | None:
    """The value of one `valueFrom`; None when an optional reference has no value."""
    if "fieldRef" in source:
        return field_of(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return resource_of(pod, source["resourceFieldRef"], container)
    kind = "Secret" if "secretKeyRef" in source else "ConfigMap"
    reference = source.get("secretKeyRef") or source["configMapKeyRef"]
    namespace, optional = pod["metadata"]["namespace"], reference.get("optional", False)
    data = await data_of(kube, kind, namespace, reference["name"], optional=optional)
    if reference["key"] in data:
        return data[reference["key"]].decode()
    if optional:
        return None
    raise MissingReferenceError(f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}")
