"""What the server knows about pods: their first status, their quality of service, and rules inside their spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.apiserver.errors import Cause
from lab.apiserver.quantities import amount

if TYPE_CHECKING:
    from collections.abc import Set

    from lab.apiserver.registry import Registry

Object = dict[str, Any]

COMPUTE = ("cpu", "memory")


def prepare(old: Object | None, new: Object, registry: Registry) -> None:
    """A new pod is Pending; requests that are missing equal the limits."""
    if old is not None:
        return
    for container in containers(new.get("spec") or {}):
        resources = container.get("resources") or {}
        for name, limit in (resources.get("limits") or {}).items():
            resources.setdefault("requests", {}).setdefault(name, limit)
    new["status"] = {"phase": "Pending", "qosClass": quality(new.get("spec") or {})}


def containers(spec: Object) -> list[Object]:
    """All containers of a pod spec, init containers first."""
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def quality(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/."""
    guaranteed, best_effort = True, True
    for container in containers(spec):
        resources = container.get("resources") or {}
        for name in COMPUTE:
            request, limit = (amount((resources.get(part) or {}).get(name)) for part in ("requests", "limits"))
            best_effort &= not request and not limit
            guaranteed &= bool(limit) and request == limit
    return "BestEffort" if best_effort else "Guaranteed" if guaranteed else "Burstable"


def check(path: str, template: Object, claimed: Set[str] = frozenset()) -> list[Cause]:
    """Names that must be unique or refer to something, in the pod spec at ``path``.

    ``claimed`` are volumes that the pods get beside those of the template.
    """
    spec = template["spec"]
    causes: list[Cause] = []
    volumes = _duplicates(f"{path}.volumes", spec.get("volumes") or [], causes) | claimed
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or []):
            place = f"{path}.{field}[{index}]"
            if container.get("name") in names:
                causes.append((f"{place}.name", f'Duplicate value: "{container["name"]}"'))
            names.add(container.get("name", ""))
            causes += _check_container(place, container, volumes)
    return causes


def _check_container(place: str, container: Object, volumes: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    if not container.get("image"):
        causes.append((f"{place}.image", "Required value"))
    paths: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            causes.append((f"{place}.volumeMounts[{index}].name", f'Not found: "{mount.get("name", "")}"'))
        if mount.get("mountPath") in paths:
            text = f'Invalid value: "{mount["mountPath"]}": must be unique'
            causes.append((f"{place}.volumeMounts[{index}].mountPath", text))
        paths.add(mount.get("mountPath", ""))
    resources = container.get("resources") or {}
    for name, limit in (resources.get("limits") or {}).items():
        request = (resources.get("requests") or {}).get(name)
        more, most = amount(request), amount(limit)
        if more is not None and most is not None and more > most:
            text = f'Invalid value: "{request}": must be less than or equal to {name} limit of {limit}'
            causes.append((f"{place}.resources.requests", text))
    return causes


def _duplicates(path: str, items: list[Object], causes: list[Cause]) -> set[str]:
    """The names of the items; adds to ``causes`` those that come twice."""
    names: set[str] = set()
    for index, item in enumerate(items):
        name = item.get("name", "")
        if name in names:
            causes.append((f"{path}[{index}].name", f'Duplicate value: "{name}"'))
        names.add(name)
    return names
