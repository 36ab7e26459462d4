"""A pod's status, worked out from the statuses of its containers. Pure: nothing here asks or changes anything.

Source of the rules: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ and getPhase() in
k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.kube import Object, Objects
from lab.kubelet.container_status import exit_code

ADDRESS = "127.0.0.1"  # of every node: they share the network of this machine


@dataclass(frozen=True)
class Containers:
    """The container statuses of a pod in the order of its spec; side-cars are among `init`."""

    init: Objects
    main: Objects
    sidecars: frozenset[str] = field(default_factory=frozenset)

    def ordinary_init(self) -> Objects:
        return [status for status in self.init if status["name"] not in self.sidecars]

    def serving(self) -> Objects:
        """Those whose readiness counts for the pod."""
        return [*self.main, *(status for status in self.init if status["name"] in self.sidecars)]


def pod_status(
    containers: Containers,
    former: Objects,
    *,
    restart_policy: str,
    over: bool,
    verdict: Object | None,
    address: str,
    start_time: str,
    now: str,
) -> Object:
    """The status fields that the kubelet owns.

    `former` are the pod's conditions so far. `over` means that no container will start again; a `verdict` overrides
    the phase and gives reason and message.
    """
    status = {"phase": phase_of(containers, restart_policy, over=over), **(verdict or {})}
    status["conditions"] = _conditions(former, _wanted_conditions(containers, status["phase"]), now)
    status |= {**addresses(address), "startTime": start_time, "containerStatuses": containers.main}
    if containers.init:
        # An init container that has done its work counts as ready.
        status["initContainerStatuses"] = [
            {**each, "ready": each["ready"] or exit_code(each) == 0} for each in containers.init
        ]
    return status


def addresses(pod: str) -> Object:
    """The status fields that tell where a pod is, known before its containers start."""
    return {"hostIP": ADDRESS, "hostIPs": [{"ip": ADDRESS}], "podIP": pod, "podIPs": [{"ip": pod}]}


def phase_of(containers: Containers, restart_policy: str, *, over: bool) -> str:
    """The phase of a pod."""
    codes = [exit_code(status) for status in containers.main]
    failed_init = any(exit_code(status) for status in containers.ordinary_init() if not _is_waiting(status))
    if over:
        return "Succeeded" if all(code == 0 for code in codes) and not failed_init else "Failed"
    if failed_init and restart_policy == "Never":
        return "Failed"
    if any(exit_code(status) != 0 for status in containers.ordinary_init()):
        return "Pending"
    if any(_is_waiting(status) and "terminated" not in status["lastState"] for status in containers.main):
        return "Pending"
    return "Running"


def incomplete(containers: Containers) -> list[str]:
    """The names of init containers that have not succeeded yet, and of side-cars that have not started."""
    return [
        status["name"]
        for status in containers.init
        if not (status["started"] if status["name"] in containers.sidecars else exit_code(status) == 0)
    ]


def _wanted_conditions(containers: Containers, phase: str) -> dict[str, Object]:
    """Type -> status, and where it is false reason and message."""
    serving = _ready(containers, phase)
    return {
        "PodReadyToStartContainers": {"status": "False" if phase in ("Succeeded", "Failed") else "True"},
        "Initialized": _initialized(containers, phase),
        "Ready": serving,
        "ContainersReady": serving,
        "PodScheduled": {"status": "True"},
    }


def _initialized(containers: Containers, phase: str) -> Object:
    if phase == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"}
    left = incomplete(containers)
    if not left:
        return {"status": "True"}
    message = f"containers with incomplete status: [{' '.join(left)}]"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": message}


def _ready(containers: Containers, phase: str) -> Object:
    if phase in ("Succeeded", "Failed"):
        return {"status": "False", "reason": "PodCompleted" if phase == "Succeeded" else "PodFailed"}
    unready = [status["name"] for status in containers.serving() if not status["ready"]]
    if not unready:
        return {"status": "True"}
    message = f"containers with unready status: [{' '.join(unready)}]"
    return {"status": "False", "reason": "ContainersNotReady", "message": message}


def _conditions(former: Objects, wanted: dict[str, Object], now: str) -> Objects:
    """`wanted` as conditions, each with the time since which it has its status; others' conditions are left alone."""
    known = {condition["type"]: condition for condition in former}
    conditions = []
    for type_, fields in wanted.items():
        same = type_ in known and known[type_]["status"] == fields["status"]
        since = known[type_].get("lastTransitionTime") if same else None
        # A patch merges each condition into the former one: what no longer holds must be named to be taken away.
        conditions.append(
            {"type": type_, "reason": None, "message": None, **fields, "lastTransitionTime": since or now}
        )
    return conditions


def _is_waiting(status: Object) -> bool:
    return "waiting" in status["state"]
