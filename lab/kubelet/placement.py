"""Which node a pod may run on, and which of them is best. Pure: nothing here asks or changes anything.

What kube-scheduler's default plug-ins filter by, as far as the lab's workloads use it: unschedulable, taints, node
selector and required node affinity, resource requests. Preferences, pod affinity and preemption are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

from lab.kube import Object, Objects
from lab.kubelet import quantities
from lab.taints import tolerates

Amounts = Mapping[str, Decimal]  # resource -> amount in its base unit; "pods" counts pods


def choose(pod: Object, nodes: Objects, used: Mapping[str, Amounts]) -> tuple[str, str]:
    """The name of the best node and an empty text, or an empty name and why no node will do.

    `used` holds, by node name, what the pods there already ask for.
    """
    wanted = requests(pod)
    reasons: Counter[str] = Counter()
    fitting = []
    for node in nodes:
        name = node["metadata"]["name"]
        against = _objections(pod, wanted, node, used.get(name, {}))
        reasons.update(against)
        if not against:
            fitting.append((used.get(name, {}).get("pods", Decimal(0)), name))
    if fitting:
        return min(fitting)[1], ""
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return "", f"0/{len(nodes)} nodes are available: {listed or 'no nodes'}."


def requests(pod: Object) -> dict[str, Decimal]:
    """What a pod asks for: its containers together, or its largest init container where that is more."""
    spec = pod["spec"]
    inits = spec.get("initContainers") or []
    sidecars = [container for container in inits if container.get("restartPolicy") == "Always"]
    total = add(_requests(container) for container in [*spec["containers"], *sidecars])
    for container in inits:
        for resource, amount in _requests(container).items():
            total[resource] = max(total.get(resource, Decimal(0)), amount)
    return add([total, _amounts(spec.get("overhead") or {}), {"pods": Decimal(1)}])


def add(amounts: Iterable[Amounts]) -> dict[str, Decimal]:
    """The sum, resource by resource."""
    total: dict[str, Decimal] = {}
    for each in amounts:
        for resource, amount in each.items():
            total[resource] = total.get(resource, Decimal(0)) + amount
    return total


def _requests(container: Object) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _amounts(resources: Mapping[str, str]) -> dict[str, Decimal]:
    return {resource: quantities.parse(amount) for resource, amount in resources.items()}


def _objections(pod: Object, wanted: Amounts, node: Object, used: Amounts) -> list[str]:
    """Why a pod may not run on a node, worded as the scheduler words it; the first kind of reason found."""
    if node["spec"].get("unschedulable") and not _tolerates(pod, _UNSCHEDULABLE):
        return ["node(s) were unschedulable"]
    for taint in node["spec"].get("taints") or []:
        if taint["effect"] in ("NoSchedule", "NoExecute") and not _tolerates(pod, taint):
            return [f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"]
    if not _selects(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    allocatable = _amounts((node.get("status") or {}).get("allocatable") or {})
    short = [
        resource
        for resource, amount in wanted.items()
        if amount and used.get(resource, Decimal(0)) + amount > allocatable.get(resource, Decimal(0))
    ]
    return ["Too many pods" if resource == "pods" else f"Insufficient {resource}" for resource in sorted(short)]


_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def _tolerates(pod: Object, taint: Object) -> bool:
    return any(tolerates(toleration, taint) for toleration in pod["spec"].get("tolerations") or [])


def _selects(pod: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    selector = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    fields = {"metadata.name": node["metadata"]["name"]}
    return required is None or any(
        all(_matches(labels, expression) for expression in term.get("matchExpressions") or [])
        and all(_matches(fields, expression) for expression in term.get("matchFields") or [])
        for term in required["nodeSelectorTerms"]
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _matches(labels: Mapping[str, str], expression: Object) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and int(value) > int(values[0])
        case "Lt":
            return value is not None and int(value) < int(values[0])
    raise ValueError(f"node affinity has no operator {expression['operator']!r}")
