"""The Pod Security Standards, baseline and restricted, of release 1.32.

https://kubernetes.io/docs/concepts/security/pod-security-standards/; order and texts of the violations are those of the
admission plugin (k8s.io/pod-security-admission/policy).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from lab.apiserver.podsecurity import baseline, restricted
from lab.apiserver.podsecurity.pods import Check, Object, Violation

LEVELS: dict[str, list[Check]] = {
    "privileged": [],
    "baseline": list(baseline.CHECKS.values()),
    "restricted": [
        *(check for name, check in baseline.CHECKS.items() if name not in restricted.REPLACES),
        *restricted.CHECKS.values(),
    ],
}


def violations(level: str, metadata: Object, spec: Object) -> list[str]:
    """What a pod does that a level (privileged, baseline, restricted) forbids, one text a rule; empty if nothing."""
    return [f"{reason} ({detail})" for reason, detail in _broken(level, metadata, spec)]


def namespace_warnings(namespace: str, level: str, pods: Iterable[Object], version: str = "latest") -> list[str]:
    """What a server warns of when a namespace that holds ``pods`` is given an enforced level."""
    names: dict[str, list[str]] = defaultdict(list)
    for pod in pods:
        reasons = ", ".join(reason for reason, _ in _broken(level, pod["metadata"], pod["spec"]))
        if reasons:
            names[reasons].append(pod["metadata"]["name"])
    if not names:
        return []
    head = f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{level}:{version}"'
    return [head, *sorted(f"{_and_others(same)}: {reasons}" for reasons, same in names.items())]


def _broken(level: str, metadata: Object, spec: Object) -> Iterator[Violation]:
    return filter(None, (check(metadata, spec) for check in LEVELS[level]))


def _and_others(names: list[str]) -> str:
    match len(names):
        case 1:
            return names[0]
        case 2:
            return f"{min(names)} (and 1 other pod)"
        case count:
            return f"{min(names)} (and {count - 1} other pods)"
