"""Watches: what they send, and how they end."""

from __future__ import annotations

import pytest

from tests.lab.apiserver.objects import configmap
from tests.lab.apiserver.rest import APPLY_PATCH, Rest, Watch, status
from tests.lab.servers import StartServer

BOOKMARK_END = "k8s.io/initial-events-end"


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def now(api: Rest, path: str) -> str:
    version: str = api.get(path)["metadata"]["resourceVersion"]
    return version


@pytest.mark.parametrize("word", ["true", "True", "1", ""])
def test_every_spelling_of_true_starts_a_watch(api: Rest, path: str, word: str) -> None:
    """Python's clients send watch=True; a plain list in answer would make them see nothing, without an error."""
    api.create(path, configmap("a"))
    params = {"watch": word, "fieldSelector": "metadata.name=a"}
    with Watch(api.request("GET", path, params=params, stream=True)) as watch:
        assert watch.next()[0] == "ADDED"


@pytest.mark.parametrize("word", ["false", "False", "0"])
def test_false_is_a_list(api: Rest, path: str, word: str) -> None:
    assert api.get(path, watch=word)["kind"] == "ConfigMapList"


def test_a_watch_without_a_version_begins_with_what_is_there(api: Rest, path: str) -> None:
    api.create(path, configmap("a", {"mine": "1"}))
    with api.watch(path, labelSelector="mine") as watch:
        api.create(path, configmap("b", {"mine": "1"}))
        assert watch.names(2) == [("ADDED", "a"), ("ADDED", "b")]


def test_a_watch_from_a_version_tells_what_came_after(api: Rest, path: str) -> None:
    api.create(path, configmap("a", {"mine": "1"}))
    version = now(api, path)
    api.patch(f"{path}/a", {"data": {"x": "1"}})
    api.delete(f"{path}/a")
    with api.watch(path, resourceVersion=version, labelSelector="mine") as watch:
        assert watch.names(2) == [("MODIFIED", "a"), ("DELETED", "a")]


def test_each_event_carries_a_greater_version(api: Rest, path: str) -> None:
    version = now(api, path)
    with api.watch(path, resourceVersion=version) as watch:
        api.create(path, configmap("a"))
        api.patch(f"{path}/a", {"data": {"x": "1"}})
        api.delete(f"{path}/a")
        versions = [int(watch.next()[1]["metadata"]["resourceVersion"]) for _ in range(3)]
    assert int(version) < versions[0] < versions[1] < versions[2]


def test_a_selector_watch_sees_a_label_change_as_added_and_deleted(api: Rest, path: str) -> None:
    """To its client an object exists only while the labels fit."""
    api.create(path, configmap("a", {"mine": "no"}, text="x"))
    with api.watch(path, resourceVersion=now(api, path), labelSelector="mine=yes") as watch:
        api.patch(f"{path}/a", {"metadata": {"labels": {"mine": "yes"}}})
        changed = api.patch(f"{path}/a", {"metadata": {"labels": {"mine": "no"}}, "data": {"text": "y"}})
        assert watch.names(1) == [("ADDED", "a")]
        kind, last = watch.next()
    assert kind == "DELETED"
    # The object as it last fitted, at the version of the change: a client resumes from there.
    assert (last["metadata"]["labels"], last["data"]) == ({"mine": "yes"}, {"text": "x"})
    assert last["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


def test_initial_events_end_with_a_bookmark(api: Rest, path: str) -> None:
    """kubectl wait, informers and newer reflectors wait for it."""
    api.create(path, configmap("a", {"mine": "1"}))
    options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with api.watch(path, labelSelector="mine", **options) as watch:
        assert watch.names(1) == [("ADDED", "a")]
        kind, mark = watch.next()
        assert (kind, mark["kind"]) == ("BOOKMARK", "ConfigMap")
        assert mark["metadata"]["annotations"] == {BOOKMARK_END: "true"}
        assert int(mark["metadata"]["resourceVersion"]) > 0
        api.create(path, configmap("b", {"mine": "1"}))
        assert watch.names(1) == [("ADDED", "b")]


def test_initial_events_need_a_version_match(api: Rest, path: str) -> None:
    response = api.request("GET", path, params={"watch": "1", "sendInitialEvents": "true"})
    code, reason, message = status(response)
    assert (code, reason) == (422, "Invalid")
    assert "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan" in message


def test_a_watch_ends_when_its_time_is_over(api: Rest, path: str) -> None:
    with api.watch(path, resourceVersion=now(api, path), timeoutSeconds="1") as watch:
        assert list(watch.response.iter_lines()) == []


def test_one_object_is_watched_by_its_name(api: Rest, path: str) -> None:
    version = now(api, path)
    api.create(path, configmap("a"))
    api.create(path, configmap("b"))
    with api.watch(path, resourceVersion=version, fieldSelector="metadata.name=b") as watch:
        assert watch.names(1) == [("ADDED", "b")]


def test_a_watch_of_all_namespaces_sees_every_namespace(api: Rest, path: str) -> None:
    with api.watch("/api/v1/configmaps", resourceVersion=now(api, path), labelSelector="everywhere") as watch:
        api.create(path, configmap("a", {"everywhere": "1"}))
        assert watch.names(1) == [("ADDED", "a")]


def test_a_write_that_changes_nothing_is_no_event(api: Rest, path: str) -> None:
    """Or every reconcile would look like a change."""
    api.create(path, configmap("a", x="1"))
    with api.watch(path, resourceVersion=now(api, path), fieldSelector="metadata.name=a") as watch:
        api.patch(f"{path}/a", {"data": {"x": "1"}})
        api.replace(f"{path}/a", api.get(f"{path}/a"))
        api.patch(f"{path}/a", {"data": {"x": "2"}})
        assert watch.next()[1]["data"] == {"x": "2"}


def test_an_apply_that_changes_nothing_is_no_event(api: Rest, path: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    first = api.patch(f"{path}/a", body, APPLY_PATCH, fieldManager="me")
    again = api.patch(f"{path}/a", body, APPLY_PATCH, fieldManager="me")
    assert again["metadata"] == first["metadata"]


def test_a_forgotten_version_is_an_error_event_with_code_410(start_server: StartServer) -> None:
    """The double's --history makes the log short enough to fall out of it."""
    server = start_server("--history", "3")
    api, path = Rest(server.kubeconfig), "/api/v1/namespaces/default/configmaps"
    old = now(api, path)
    for number in range(5):
        api.create(path, configmap(f"a{number}"))
    with api.watch(path, resourceVersion=old) as watch:
        kind, error = watch.next()
        assert (kind, error["code"], error["reason"]) == ("ERROR", 410, "Expired")
        assert error["message"].startswith(f"too old resource version: {old} (")
        assert list(watch.response.iter_lines()) == []


def test_a_forgotten_continue_token_is_410_with_a_way_on(start_server: StartServer) -> None:
    server = start_server("--history", "3")
    api, path = Rest(server.kubeconfig), "/api/v1/namespaces/default/configmaps"
    for number in range(4):
        api.create(path, configmap(f"a{number}"))
    token = api.get(path, limit="2")["metadata"]["continue"]
    for number in range(4, 8):
        api.create(path, configmap(f"a{number}"))
    response = api.request("GET", path, params={"limit": "2", "continue": token})
    code, reason, message = status(response)
    assert (code, reason) == (410, "Expired")
    assert message.startswith("The provided continue parameter is too old to display a consistent list result.")
    inconsistent = response.json()["metadata"]["continue"]
    rest = api.get(path, **{"continue": inconsistent})
    assert [item["metadata"]["name"] for item in rest["items"]] == ["a2", "a3", "a4", "a5", "a6", "a7"]


def test_versions_go_on_after_a_restart_and_the_history_does_not(start_server: StartServer) -> None:
    server = start_server()
    api, path = Rest(server.kubeconfig), "/api/v1/namespaces/default/configmaps"
    old = now(api, path)
    newest = api.create(path, configmap("a"))["metadata"]["resourceVersion"]
    server.stop()
    server.start()
    assert int(now(api, path)) >= int(newest)
    with api.watch(path, resourceVersion=old) as watch:
        assert watch.next()[1]["code"] == 410
    with api.watch(path, resourceVersion=now(api, path)) as watch:
        api.create(path, configmap("b"))
        assert watch.names(1) == [("ADDED", "b")]
