"""Admission: what may still change or refuse a write that its sender is allowed to make.

ServiceAccount, Priority, DefaultTolerationSeconds, DefaultStorageClass and TaintNodesByCondition change new objects;
PodSecurity and the rule that nobody grants more than they hold refuse.
"""

from __future__ import annotations

from typing import Any

from lab.apiserver import errors, kinds, podsecurity, serviceaccounts
from lab.apiserver.access import GROUP, Access
from lab.apiserver.customresources import DEFINITIONS
from lab.apiserver.decoding import Options
from lab.apiserver.deletion import PODS
from lab.apiserver.registry import NAMESPACES, Registry
from lab.apiserver.resources import Resource

Object = dict[str, Any]

PRIORITY_CLASSES = ("scheduling.k8s.io", "priorityclasses")
STORAGE_CLASSES = ("storage.k8s.io", "storageclasses")
DEFAULT_STORAGE_CLASS = "storageclass.kubernetes.io/is-default-class"
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = (NOT_READY, "node.kubernetes.io/unreachable")
TOLERATION_SECONDS = 300
LABEL = "pod-security.kubernetes.io/"
STRICTNESS = ("privileged", "baseline", "restricted")


class AdmissionPlugins:
    """All plugins, in order."""

    def __init__(self, registry: Registry, access: Access) -> None:
        self._registry = registry
        self._access = access

    def mutate(self, resource: Resource, old: Object | None, new: Object, options: Options) -> None:
        if old is not None:
            return
        if resource.custom:
            self._check_definition(resource)
        if resource.id == PODS:
            new.setdefault("spec", {})
            serviceaccounts.admit(self._registry, resource, new)
            self._prioritize(resource, new)
            _tolerate(new)
        elif resource.id == ("", "persistentvolumeclaims"):
            self._default_storage_class(new)
        elif resource.id == ("", "nodes"):
            _taint(new)

    def validate(self, resource: Resource, old: Object | None, new: Object, options: Options) -> None:
        if resource.group == GROUP and (old is None or _grant(old) != _grant(new)):
            message = self._access.policy.escalation(options.user, new)
            if message:
                raise errors.forbidden(resource, new["metadata"]["name"], message)
        if resource.id == NAMESPACES:
            self._check_namespace(resource, old, new, options)
        elif kinds.pod_template(resource, new):
            self._check_pod(resource, old, new, options)

    def _check_definition(self, resource: Resource) -> None:
        definition = self._registry.find(self._registry.resource(*DEFINITIONS), "", resource.qualified)
        if definition and definition["metadata"].get("deletionTimestamp"):
            raise errors.not_allowed("create not allowed while custom resource definition is terminating")

    def _prioritize(self, resource: Resource, pod: Object) -> None:
        spec, name = pod["spec"], pod["metadata"].get("name", "")
        classes = self._registry.list(self._registry.resource(*PRIORITY_CLASSES))
        wanted = spec.get("priorityClassName")
        chosen = [item for item in classes if item["metadata"]["name"] == wanted]
        if wanted and not chosen:
            raise errors.forbidden(resource, name, f"no PriorityClass with name {wanted} was found")
        chosen = chosen or [item for item in classes if item.get("globalDefault")]
        if chosen:
            spec["priorityClassName"] = chosen[0]["metadata"]["name"]
        value = chosen[0]["value"] if chosen else 0
        if spec.get("priority") not in (None, value):
            message = f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            message += f"priority admission controller computed {value} from the given PriorityClass name"
            raise errors.forbidden(resource, name, message)
        spec["priority"] = value
        spec.setdefault(
            "preemptionPolicy", (chosen[0] if chosen else {}).get("preemptionPolicy", "PreemptLowerPriority")
        )

    def _default_storage_class(self, claim: Object) -> None:
        spec = claim.setdefault("spec", {})
        if "storageClassName" in spec:
            return
        for item in self._registry.list(self._registry.resource(*STORAGE_CLASSES)):
            if (item["metadata"].get("annotations") or {}).get(DEFAULT_STORAGE_CLASS) == "true":
                spec["storageClassName"] = item["metadata"]["name"]
                return

    # Pod Security

    def _check_pod(self, resource: Resource, old: Object | None, new: Object, options: Options) -> None:
        found = kinds.pod_template(resource, new)
        before = kinds.pod_template(resource, old) if old else None
        namespace = new["metadata"].get("namespace", "")
        if found is None or not namespace or (before and before[1]["spec"] == found[1]["spec"]):
            return
        template = found[1]
        holder = self._registry.get(self._registry.resource(*NAMESPACES), "", namespace)
        labels = holder["metadata"].get("labels") or {}
        for mode in ("enforce", "warn"):
            level, version = _level(labels, mode)
            broken = podsecurity.violations(level, template["metadata"], template["spec"])
            if not broken:
                continue
            text = f'violate PodSecurity "{level}:{version}": {", ".join(broken)}'
            if mode == "warn":
                options.warnings.append(f"would {text}")
            elif resource.id == PODS:
                text = text.replace("violate", "violates", 1)
                raise errors.forbidden(resource, new["metadata"]["name"], text)

    def _check_namespace(self, resource: Resource, old: Object | None, new: Object, options: Options) -> None:
        name, labels = new["metadata"]["name"], new["metadata"].get("labels") or {}
        causes = [
            (
                f"metadata.labels[{LABEL}{mode}]",
                f'Invalid value: "{labels[LABEL + mode]}": must be one of {", ".join(STRICTNESS)}',
            )
            for mode in ("enforce", "audit", "warn")
            if labels.get(LABEL + mode, STRICTNESS[0]) not in STRICTNESS
        ]
        if causes:
            raise errors.invalid("", "Namespace", name, causes)
        if old is None:
            return
        level, version = _level(labels, "enforce")
        before = _level(old["metadata"].get("labels") or {}, "enforce")
        if (level, version) == before or STRICTNESS.index(level) < STRICTNESS.index(before[0]):
            return
        pods = self._registry.list(self._registry.resource(*PODS), name)
        options.warnings.extend(podsecurity.namespace_warnings(name, level, pods, version))


def _level(labels: Object, mode: str) -> tuple[str, str]:
    """The level and version that a namespace's labels ask for; a level that nobody knows counts as the strictest."""
    level = labels.get(LABEL + mode, STRICTNESS[0])
    return (level if level in STRICTNESS else STRICTNESS[-1]), labels.get(f"{LABEL}{mode}-version", "latest")


def _grant(obj: Object) -> Object:
    """What a role or binding hands on."""
    return {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}


def _tolerate(pod: Object) -> None:
    """A pod stays for five minutes on a node that was lost, unless it says otherwise."""
    tolerations = pod["spec"].get("tolerations") or []
    for key in UNREACHABLE:
        known = any(
            item.get("key", key) == key and item.get("effect", "NoExecute") in ("NoExecute", "") for item in tolerations
        )
        if not known:
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
            )
    pod["spec"]["tolerations"] = tolerations


def _taint(node: Object) -> None:
    """A new node takes no pods before the node lifecycle controller has seen that it is ready."""
    taint = {"key": NOT_READY, "effect": "NoSchedule"}
    spec = node.setdefault("spec", {})
    taints = spec.get("taints") or []
    if not any(taint.items() <= item.items() for item in taints):
        spec["taints"] = [*taints, taint]
