"""How objects end: at once, after a grace period, or when their last finalizer is gone."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.apiserver import errors
from lab.apiserver.decoding import Options
from lab.apiserver.registry import NAMESPACES, Registry, timestamp, view
from lab.apiserver.resources import Resource

Object = dict[str, Any]

PODS = ("", "pods")
IMMORTAL = ("default", "kube-system", "kube-public")
DEPENDENTS_FIRST, ORPHANS = "foregroundDeletion", "orphan"
POLICIES = ("Orphan", "Background", "Foreground")


@dataclass(frozen=True)
class DeleteOptions:
    """What a client says about a deletion (meta/v1 DeleteOptions)."""

    grace: int | None = None  # seconds
    policy: str = ""
    orphan: bool | None = None
    uid: str = ""
    resource_version: str = ""

    @property
    def finalizer(self) -> str:
        """The finalizer by which the garbage collector keeps the policy, or an empty string."""
        if self.policy == "Foreground":
            return DEPENDENTS_FIRST
        return ORPHANS if self.policy == "Orphan" or self.orphan else ""


def read_options(sent: Object, query: Mapping[str, str]) -> DeleteOptions:
    """From the body of a request, or from its query where the body is empty. Raises ApiError 400 and 422."""
    given: Mapping[str, Any] = sent or query
    grace, policy = given.get("gracePeriodSeconds"), given.get("propagationPolicy") or ""
    preconditions = sent.get("preconditions") or {}
    causes = []
    if policy and policy not in POLICIES:
        supported = ", ".join(f'"{name}"' for name in (*POLICIES, "nil"))
        causes.append(("propagationPolicy", f'Unsupported value: "{policy}": supported values: {supported}'))
    if policy and sent.get("orphanDependents") is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(("propagationPolicy", f'Invalid value: "{policy}": {text}'))
    if causes:
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", causes)
    try:
        seconds = None if grace is None else int(grace)
    except (ValueError, TypeError):
        raise errors.bad_request(f'strconv.ParseInt: parsing "{grace}": invalid syntax') from None
    return DeleteOptions(
        seconds,
        policy,
        sent.get("orphanDependents"),
        preconditions.get("uid") or "",
        preconditions.get("resourceVersion") or "",
    )


def delete(
    registry: Registry,
    resource: Resource,
    namespace: str,
    name: str,
    how: DeleteOptions | None = None,
    options: Options | None = None,
) -> tuple[Object, bool]:
    """Delete an object or begin to; returns its last state and whether it is gone.

    Raises ApiError: 403 for a namespace that must stay, 404, 409 when a precondition fails.
    """
    how, options = how or DeleteOptions(), options or Options()
    old = registry.get(resource, namespace, name)
    own = old["metadata"]
    _check_preconditions(resource, old, how)
    if resource.id == NAMESPACES:
        _check_namespace(resource, old)
    new = copy.deepcopy(old)
    changed = _mark(resource, new, how)
    if how.finalizer and how.finalizer not in own.get("finalizers", []):
        rest = [item for item in own.get("finalizers", []) if item not in (DEPENDENTS_FIRST, ORPHANS)]
        new["metadata"]["finalizers"] = [*rest, how.finalizer]
        changed = True
    if registry.ends(resource, new):
        if options.dry_run:
            return new, True
        return view(registry.store.delete(resource.key(namespace, name)), resource), True
    if not changed or options.dry_run:
        return new, False
    return view(registry.save(resource, new), resource), False


def _check_preconditions(resource: Resource, old: Object, how: DeleteOptions) -> None:
    own = old["metadata"]
    if how.uid and how.uid != own["uid"]:
        message = f"the UID in the precondition ({how.uid}) does not match the UID in record ({own['uid']}). "
        raise errors.conflict(resource, own["name"], message + "The object might have been deleted and then recreated")
    if how.resource_version and how.resource_version != own["resourceVersion"]:
        message = f"the ResourceVersion in the precondition ({how.resource_version}) does not match "
        message += f"the ResourceVersion in record ({own['resourceVersion']}). The object might have been modified"
        raise errors.conflict(resource, own["name"], message)


def _check_namespace(resource: Resource, old: Object) -> None:
    name = old["metadata"]["name"]
    if name in IMMORTAL:
        raise errors.forbidden(resource, name, "this namespace may not be deleted")
    if old["metadata"].get("deletionTimestamp") and (old.get("spec") or {}).get("finalizers"):
        message = "The system is ensuring all content is removed from this namespace.  "
        message += "Upon completion, this namespace will automatically be purged by the system."
        raise errors.conflict(resource, name, message)


def _mark(resource: Resource, new: Object, how: DeleteOptions) -> bool:
    """Write into ``new`` when it is to end; False if that was decided before and stays."""
    own = new["metadata"]
    now = datetime.datetime.now(datetime.UTC)
    if own.get("deletionTimestamp"):
        present = own.get("deletionGracePeriodSeconds") or 0
        if how.grace is None or how.grace >= present:
            return False
        # A second deletion may only shorten the grace period.
        began = datetime.datetime.fromisoformat(own["deletionTimestamp"]) - datetime.timedelta(seconds=present)
        own["deletionTimestamp"] = timestamp(began + datetime.timedelta(seconds=max(how.grace, 0)))
        own["deletionGracePeriodSeconds"] = max(how.grace, 0)
        return True
    grace = _grace(new, how) if resource.id == PODS else 0
    own["deletionTimestamp"] = timestamp(now + datetime.timedelta(seconds=grace))
    own["deletionGracePeriodSeconds"] = grace
    if own.get("generation"):
        own["generation"] += 1
    if resource.id == NAMESPACES:
        new["status"] = {**(new.get("status") or {}), "phase": "Terminating"}
    return True


def _grace(pod: Object, how: DeleteOptions) -> int:
    """Seconds that the kubelet gets; none where no container can be running."""
    spec = pod["spec"]
    if not spec.get("nodeName") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    seconds: int = spec.get("terminationGracePeriodSeconds", 30) if how.grace is None else how.grace
    return seconds if seconds >= 0 else 1
