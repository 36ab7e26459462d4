"""Phase and conditions, as a pure function of container statuses."""

import pytest

from lab.kubelet import container_status
from lab.kubelet.status import Containers, phase_of, pod_status


def fresh(name: str = "c"):
    return container_status.fresh({"name": name, "image": "i"})


def running(name: str = "c", *, ready: bool = True):
    return container_status.running(fresh(name), 0, "id", "2025-01-01T00:00:00Z", started=True, ready=ready)


def ended(code: int, name: str = "c"):
    return container_status.terminated(running(name), 0, "id", "2025-01-01T00:00:00Z", code)


def again(status):
    return container_status.waiting(status, "CrashLoopBackOff")


@pytest.mark.parametrize(
    ("init", "main", "policy", "phase"),
    [
        ([], [fresh()], "Always", "Pending"),
        ([], [running(), fresh("d")], "Always", "Pending"),
        ([], [running(), again(ended(1, "d"))], "Always", "Running"),
        ([], [running(), ended(1, "d")], "Never", "Running"),
        ([running("i")], [fresh()], "Always", "Pending"),
        ([again(ended(1, "i"))], [fresh()], "Always", "Pending"),
        ([ended(1, "i")], [fresh()], "Never", "Failed"),
        ([ended(0, "i")], [running()], "Never", "Running"),
    ],
)
def test_the_phase_while_something_may_still_run(init, main, policy: str, phase: str) -> None:
    assert phase_of(Containers(init, main), policy, over=False) == phase


@pytest.mark.parametrize(
    ("init", "main", "phase"),
    [
        ([], [ended(0), ended(0, "d")], "Succeeded"),
        ([], [ended(0), ended(2, "d")], "Failed"),
        ([ended(3, "i")], [fresh()], "Failed"),
        ([], [fresh()], "Failed"),
    ],
)
def test_the_phase_when_nothing_will_start_again(init, main, phase: str) -> None:
    assert phase_of(Containers(init, main), "Never", over=True) == phase


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    options = {"restart_policy": "Always", "over": False, "verdict": None, "start_time": "t0", "address": "127.42.0.1"}
    first = pod_status(Containers([], [running(ready=False)]), [], now="t1", **options)
    second = pod_status(Containers([], [running()]), first["conditions"], now="t2", **options)
    since = {each["type"]: each["lastTransitionTime"] for each in second["conditions"]}
    assert (since["Ready"], since["Initialized"]) == ("t2", "t1")


def test_a_reason_that_no_longer_holds_is_taken_back() -> None:
    """A patch merges conditions, so it must say null."""
    options = {"restart_policy": "Always", "over": False, "verdict": None, "start_time": "t0", "address": "127.42.0.1"}
    status = pod_status(Containers([], [running()]), [], now="t1", **options)
    ready = next(each for each in status["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == ("True", None, None)


def test_restarts_are_counted_when_the_next_start_begins() -> None:
    waiting = again(ended(1))
    assert (waiting["restartCount"], waiting["lastState"]["terminated"]["exitCode"]) == (0, 1)
    assert container_status.next_number(waiting) == 1
    assert container_status.next_number(fresh()) == 0
    assert container_status.log_number(waiting, previous=False) == 0
    assert container_status.log_number(fresh(), previous=False) is None
