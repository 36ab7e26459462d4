"""How a ContainerStatus changes over the starts and ends of a container. Pure functions from one status to the next."""

from __future__ import annotations

from lab import times
from lab.kube import Object


def fresh(spec: Object) -> Object:
    """The status of a container that was never started."""
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": "ContainerCreating"}},
        "lastState": {},
    }


def waiting(status: Object, reason: str, message: str = "") -> Object:
    """It cannot run now."""
    state = {"reason": reason} | ({"message": message} if message else {})
    return {**_left(status), "state": {"waiting": state}}


def running(status: Object, number: int, container_id: str, since: str, *, started: bool, ready: bool) -> Object:
    """It runs; `number` counts its starts from 0."""
    return {
        **_left(status),
        "imageID": status["image"],
        "containerID": container_id,
        "restartCount": number,
        "started": started,
        "ready": ready,
        "state": {"running": {"startedAt": since}},
    }


def terminated(
    status: Object, number: int, container_id: str, since: str, code: int, *, reason: str = "", message: str = ""
) -> Object:
    """It ended with an exit code (128 + n for signal n)."""
    state: Object = {
        "exitCode": code,
        "reason": reason or ("Completed" if code == 0 else "Error"),
        "startedAt": since,
        "finishedAt": times.seconds(),
        "containerID": container_id,
    }
    if message:
        state["message"] = message
    ended = {"containerID": container_id, "restartCount": number, "imageID": status["image"]}
    return {**_left(status), **ended, "state": {"terminated": state}}


def next_number(status: Object) -> int:
    """The number of its next start."""
    ran = "waiting" not in status["state"] or "terminated" in status["lastState"]
    return int(status["restartCount"]) + (1 if ran else 0)


def log_number(status: Object, *, previous: bool) -> int | None:
    """The number of the start whose log is meant; None if there was none.

    While it waits to be started again, the current log and the previous one are both that of its last end.
    """
    ended_before = "terminated" in status["lastState"]
    if "waiting" in status["state"]:
        return int(status["restartCount"]) if ended_before else None
    if previous:
        return int(status["restartCount"]) - 1 if ended_before else None
    return int(status["restartCount"])


def exit_code(status: Object) -> int | None:
    """Its exit code if it has ended and does not wait for its next start."""
    state = status["state"].get("terminated")
    return None if state is None else int(state["exitCode"])


def _left(status: Object) -> Object:
    """The status on leaving its present state: an end becomes the last one, and it is not ready."""
    last = status["state"] if "terminated" in status["state"] else status["lastState"]
    return {**status, "lastState": last, "ready": False, "started": False}
