"""Which fields of the built-in kinds may not change once an object exists.

Texts and rules: ValidateUpdate functions of k8s.io/kubernetes/pkg/apis/*/validation, release 1.32. Left out: the
differences that a real server prints after some of these texts, and changes that only a feature gate allows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

Object = dict[str, Any]
Finding = tuple[str, str]
Rule = Callable[[Object, Object], list[Finding]]

POD_SPEC = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
STATEFUL_SET_FIELDS = (
    "replicas", "ordinals", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip
STATEFUL_SET_SPEC = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
CLAIM_SPEC = (
    "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
    "claims"
)
SEALED = "Forbidden: field is immutable when `immutable` is set"


def forbidden_changes(plural: str, old: Object, new: Object) -> list[Finding]:
    """The changes from ``old`` to ``new`` that the kind does not allow: (field, message) pairs."""
    group = old.get("apiVersion", "").rpartition("/")[0]
    return [finding for rule in RULES.get((group, plural), ()) for finding in rule(old, new)]


def _at(obj: Any, path: str) -> Any:
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def fixed(path: str, message: str = "Invalid value: {value}: field is immutable") -> Rule:
    """The field at ``path`` never changes; ``{value}`` in the message is the new one."""

    def rule(old: Object, new: Object) -> list[Finding]:
        if _at(old, path) == _at(new, path):
            return []
        return [(path, message.replace("{value}", json.dumps(_at(new, path))))]

    return rule


def fixed_once_set(path: str, message: str, name: str = "") -> Rule:
    """The field at ``path`` may be filled in once; ``name`` is what the message calls it."""

    def rule(old: Object, new: Object) -> list[Finding]:
        was, now = _at(old, path), _at(new, path)
        return [] if was in (None, "") or was == now else [(name or path, message.replace("{value}", json.dumps(now)))]

    return rule


def sealed(*fields: str) -> Rule:
    """ConfigMaps and Secrets with ``immutable: true``."""

    def rule(old: Object, new: Object) -> list[Finding]:
        if not old.get("immutable"):
            return []
        found = [] if new.get("immutable") else [("immutable", SEALED)]
        return found + [(name, SEALED) for name in fields if (old.get(name) or {}) != (new.get(name) or {})]

    return rule


def _pod(old: Object, new: Object) -> list[Finding]:
    before, after = (deepcopy(obj.get("spec") or {}) for obj in (old, new))
    found: list[Finding] = []
    for field in ("containers", "initContainers"):
        was, now = before.get(field) or [], after.get(field) or []
        if len(was) != len(now):
            return [(f"spec.{field}", "Forbidden: pod updates may not add or remove containers")]
        for container in (*was, *now):
            container.pop("image", None)
    deadline, later = before.pop("activeDeadlineSeconds", None), after.pop("activeDeadlineSeconds", None)
    if deadline is not None and (later is None or later > deadline):
        text = "must not update from a positive integer to nil value"
        if later is not None:
            text = f"must be less than or equal to previous value {deadline}"
        found.append(("spec.activeDeadlineSeconds", f"Invalid value: {json.dumps(later)}: {text}"))
    was_tolerated, tolerated = (
        [{**one, "tolerationSeconds": None} for one in spec.pop("tolerations", None) or []] for spec in (before, after)
    )
    if any(one not in tolerated for one in was_tolerated):
        text = "Forbidden: existing toleration can not be modified except its tolerationSeconds"
        found.append(("spec.tolerations", text))
    if not before.get("nodeName"):
        for spec in (before, after):
            spec.pop("nodeName", None)  # how a binding is written
    return found + ([("spec", POD_SPEC)] if before != after else [])


def _stateful_set(old: Object, new: Object) -> list[Finding]:
    before, after = (
        {key: value for key, value in (obj.get("spec") or {}).items() if key not in STATEFUL_SET_FIELDS}
        for obj in (old, new)
    )
    return [("spec", STATEFUL_SET_SPEC)] if before != after else []


def _job_template(old: Object, new: Object) -> list[Finding]:
    """A suspended job that never started may still be given other nodes to run on."""
    before, after = (deepcopy(_at(obj, "spec.template") or {}) for obj in (old, new))
    if _at(old, "spec.suspend") and not _at(old, "status.startTime"):
        for template in (before, after):
            for name in ("nodeSelector", "tolerations", "affinity", "schedulingGates"):
                template.get("spec", {}).pop(name, None)
            for name in ("labels", "annotations"):
                template.get("metadata", {}).pop(name, None)
    return [] if before == after else [("spec.template", f"Invalid value: {json.dumps(after)}: field is immutable")]


def _claim(old: Object, new: Object) -> list[Finding]:
    before, after = (deepcopy(obj.get("spec") or {}) for obj in (old, new))
    if not before.get("volumeName"):
        after.pop("volumeName", None)  # how a claim is bound
    if _at(old, "status.phase") == "Bound":
        for spec in (before, after):
            spec.pop("volumeAttributesClassName", None)
            (spec.get("resources") or {}).pop("requests", None)
    return [] if before == after else [("spec", CLAIM_SPEC)]


def _volume_source(old: Object, new: Object) -> list[Finding]:
    changeable = (
        "capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions",
        "volumeMode", "nodeAffinity", "volumeAttributesClassName",
    )  # fmt: skip
    before, after = (
        {key: value for key, value in (obj.get("spec") or {}).items() if key not in changeable} for obj in (old, new)
    )
    text = "Forbidden: spec.persistentvolumesource is immutable after creation"
    return [] if before == after else [("spec.persistentvolumesource", text)]


def _cluster_address(old: Object, new: Object) -> list[Finding]:
    """A service keeps its address unless it is, or becomes, one without."""
    if "ExternalName" in (_at(old, "spec.type"), _at(new, "spec.type")):
        return []
    return fixed_once_set("spec.clusterIP", "Invalid value: [{value}]: may not change once set", "spec.clusterIPs[0]")(
        old, new
    )


_CLASS = "Forbidden: updates to {} are forbidden."

RULES: dict[tuple[str, str], tuple[Rule, ...]] = {
    ("", "pods"): (_pod,),
    ("", "configmaps"): (sealed("data", "binaryData"),),
    ("", "secrets"): (sealed("data"), fixed("type")),
    ("", "services"): (_cluster_address,),
    ("", "persistentvolumeclaims"): (_claim,),
    ("", "persistentvolumes"): (_volume_source, fixed("spec.volumeMode")),
    ("", "nodes"): (
        fixed_once_set("spec.podCIDR", 'Forbidden: node updates may not change podCIDR except from "" to valid'),
        fixed_once_set("spec.providerID", 'Forbidden: node updates may not change providerID except from "" to valid'),
    ),
    ("apps", "deployments"): (fixed("spec.selector"),),
    ("apps", "replicasets"): (fixed("spec.selector"),),
    ("apps", "daemonsets"): (fixed("spec.selector"),),
    ("apps", "statefulsets"): (_stateful_set,),
    ("apps", "controllerrevisions"): (fixed("data"),),
    ("batch", "jobs"): (
        fixed("spec.selector"),
        _job_template,
        fixed("spec.completionMode"),
        fixed("spec.podFailurePolicy"),
        fixed("spec.backoffLimitPerIndex"),
        fixed("spec.managedBy"),
    ),
    ("rbac.authorization.k8s.io", "rolebindings"): (fixed("roleRef", "Invalid value: {value}: cannot change roleRef"),),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): (
        fixed("roleRef", "Invalid value: {value}: cannot change roleRef"),
    ),
    ("storage.k8s.io", "storageclasses"): (
        fixed("parameters", _CLASS.format("parameters")),
        fixed("provisioner", _CLASS.format("provisioner")),
        fixed("reclaimPolicy", _CLASS.format("reclaimPolicy")),
        fixed("volumeBindingMode"),
    ),
    ("networking.k8s.io", "ingressclasses"): (fixed("spec.controller"),),
    ("node.k8s.io", "runtimeclasses"): (fixed("handler"),),
    ("scheduling.k8s.io", "priorityclasses"): (
        fixed("value", "Forbidden: may not be changed in an update."),
        fixed("preemptionPolicy"),
    ),
    ("discovery.k8s.io", "endpointslices"): (fixed("addressType"),),
    ("certificates.k8s.io", "certificatesigningrequests"): (fixed("spec"),),
}
