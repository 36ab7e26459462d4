"""The view never goes back in time."""

from typing import Any

from lab.controllers.workloads.view import View


def pod(version: int, uid: str = "a", **extra: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "x", "uid": uid, "resourceVersion": str(version)}
    return {"kind": "Pod", "metadata": metadata, **extra}


def test_an_older_state_does_not_replace_a_newer_one() -> None:
    view = View()
    view.put(pod(10, state="new"))
    view.put(pod(9, state="old"))
    assert view.all("Pod") == [pod(10, state="new")]


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    view = View()
    view.put(pod(1))
    view.drop(pod(2))
    view.put(pod(1))
    assert view.all("Pod") == []


def test_dropping_the_predecessor_keeps_its_namesake() -> None:
    view = View()
    view.put(pod(5, uid="b"))
    view.drop(pod(4, uid="a"))
    assert view.all("Pod") == [pod(5, uid="b")]
