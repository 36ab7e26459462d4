"""The Pod Security Standards in the words of the admission plugin."""

import copy
from typing import Any

from lab.apiserver.patches import merge_patch
from lab.apiserver.podsecurity import namespace_warnings, violations

Object = dict[str, Any]

CONTAINER = {
    "name": "app",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
SPEC = {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}}


def spec_of(case: Object) -> Object:
    spec: Object = merge_patch(SPEC, case.get("pod", {}))
    spec["containers"] = [merge_patch(CONTAINER, case.get("container", {}))]
    if "more" in case:
        spec["containers"].append({**merge_patch(CONTAINER, case["more"]), "name": "side"})
    return spec


def test_each_level_says_what_it_forbids(case: Object) -> None:
    metadata = {"annotations": case.get("annotations", {})}
    spec = spec_of(case)
    assert violations("baseline", metadata, spec) == case.get("baseline", [])
    assert violations("restricted", metadata, spec) == case.get("restricted", [])


def test_the_privileged_level_forbids_nothing(case: Object) -> None:
    assert violations("privileged", {}, spec_of(case)) == []


def pod(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {**copy.deepcopy(SPEC), "containers": [CONTAINER], **spec}}


def test_a_new_level_warns_of_the_pods_that_break_it() -> None:
    """Pods with the same faults share a line, under the name that comes first."""
    pods = [
        pod("good"),
        pod("net-b", hostNetwork=True),
        pod("net-a", hostNetwork=True),
        pod("net-c", hostNetwork=True),
        pod("root", securityContext={"seccompProfile": {"type": "Localhost"}, "runAsUser": 0}),
        pod("two-b", hostPID=True, volumes=[{"name": "v", "nfs": {}}]),
        pod("two-a", hostPID=True, volumes=[{"name": "v", "nfs": {}}]),
    ]
    assert namespace_warnings("shop", "restricted", pods) == [
        'existing pods in namespace "shop" violate the new PodSecurity enforce level "restricted:latest"',
        "net-a (and 2 other pods): host namespaces",
        "root: runAsNonRoot != true, runAsUser=0",
        "two-a (and 1 other pod): host namespaces, restricted volume types",
    ]


def test_a_level_that_all_pods_keep_warns_of_nothing() -> None:
    assert namespace_warnings("shop", "restricted", [pod("good")]) == []
