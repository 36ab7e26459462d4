"""How objects end."""

from __future__ import annotations

import datetime

import pytest

from tests.lab.apiserver.objects import configmap, deployment, pod
from tests.lab.apiserver.rest import Rest, status
from tests.lab.cluster import Cluster


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def test_a_deletion_answers_what_it_deleted(api: Rest, path: str) -> None:
    uid = api.create(path, configmap("a"))["metadata"]["uid"]
    answer = api.delete(f"{path}/a")
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"] == {"name": "a", "kind": "configmaps", "uid": uid}
    assert status(api.request("DELETE", f"{path}/a"))[2] == 'configmaps "a" not found'


def test_a_finalizer_holds_an_object_back(api: Rest, path: str) -> None:
    body = configmap("a")
    body["metadata"]["finalizers"] = ["example.com/wait"]
    api.create(path, body)
    marked = api.delete(f"{path}/a")
    assert marked["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["example.com/wait", "example.com/more"]}}
    code, _, message = status(api.send_patch(f"{path}/a", more))
    assert code == 422
    assert "no new finalizers can be added if the object is being deleted" in message
    api.patch(f"{path}/a", {"metadata": {"finalizers": None}})
    assert api.request("GET", f"{path}/a").status_code == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_a_policy_is_left_to_the_garbage_collector(
    api: Rest, namespace: str, cluster: Cluster, policy: str, finalizer: str
) -> None:
    if cluster.real:
        pytest.skip("a real cluster's garbage collector removes the finalizer at once")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api.create(path, deployment("a"))
    response = api.request("DELETE", f"{path}/a", json={"propagationPolicy": policy})
    assert response.status_code == (202 if policy == "Foreground" else 200)
    assert response.json()["metadata"]["finalizers"] == [finalizer]


def test_an_unknown_policy_is_refused(api: Rest, path: str) -> None:
    api.create(path, configmap("a"))
    response = api.request("DELETE", f"{path}/a", json={"propagationPolicy": "Sideways"})
    assert status(response)[:2] == (422, "Invalid")


@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
def test_a_precondition_that_fails_keeps_the_object(api: Rest, path: str, field: str) -> None:
    api.create(path, configmap("a"))
    response = api.request("DELETE", f"{path}/a", json={"preconditions": {field: "1"}})
    code, reason, message = status(response)
    assert (code, reason) == (409, "Conflict")
    name = {"uid": "UID", "resourceVersion": "ResourceVersion"}[field]
    assert f"the {name} in the precondition (1) does not match the {name} in record" in message
    assert api.get(f"{path}/a")


def test_a_running_pod_is_given_its_grace(api: Rest, pods: str) -> None:
    api.create(pods, pod("a", nodeName="no-such-node", terminationGracePeriodSeconds=50))
    own = api.delete(f"{pods}/a")["metadata"]
    assert own["deletionGracePeriodSeconds"] == 50
    left = datetime.datetime.fromisoformat(own["deletionTimestamp"]) - datetime.datetime.now(datetime.UTC)
    assert 40 < left.total_seconds() <= 51
    shorter = api.request("DELETE", f"{pods}/a", json={"gracePeriodSeconds": 5}).json()["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    assert shorter["deletionTimestamp"] < own["deletionTimestamp"]
    longer = api.request("DELETE", f"{pods}/a", json={"gracePeriodSeconds": 500}).json()["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 5
    gone = api.request("DELETE", f"{pods}/a", json={"gracePeriodSeconds": 0})
    assert (gone.status_code, gone.json()["kind"]) == (200, "Pod")
    assert api.request("GET", f"{pods}/a").status_code == 404


def test_grace_may_be_asked_for_in_the_query(api: Rest, pods: str) -> None:
    """Python's clients and curl send it there."""
    api.create(pods, pod("a", nodeName="no-such-node"))
    assert api.request("DELETE", f"{pods}/a", params={"gracePeriodSeconds": "0"}).ok
    assert api.request("GET", f"{pods}/a").status_code == 404


def test_beside_a_body_nobody_looks_at_the_query(api: Rest, pods: str) -> None:
    """A client that asks for no grace there and sends a precondition waits in vain."""
    uid = api.create(pods, pod("a", nodeName="no-such-node"))["metadata"]["uid"]
    both = {"params": {"gracePeriodSeconds": "0"}, "json": {"preconditions": {"uid": uid}}}
    assert api.request("DELETE", f"{pods}/a", **both).ok
    assert api.request("DELETE", f"{pods}/a", **both).ok
    assert api.request("GET", f"{pods}/a").json()["metadata"]["deletionGracePeriodSeconds"] == 30


def test_a_pod_that_cannot_be_running_goes_at_once(api: Rest, pods: str) -> None:
    api.create(pods, pod("unscheduled", schedulerName="nobody"))
    api.delete(f"{pods}/unscheduled")
    assert api.request("GET", f"{pods}/unscheduled").status_code == 404
    api.create(pods, pod("done", nodeName="no-such-node"))
    api.patch(f"{pods}/done/status", {"status": {"phase": "Succeeded"}})
    api.delete(f"{pods}/done")
    assert api.request("GET", f"{pods}/done").status_code == 404


def test_a_collection_is_deleted_by_selector(api: Rest, path: str) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        api.create(path, configmap(name, {"l": label}))
    answer = api.request("DELETE", path, params={"labelSelector": "l=x"}).json()
    assert answer["kind"] == "ConfigMapList"
    left = api.get(path, labelSelector="l")
    assert [item["metadata"]["name"] for item in left["items"]] == ["c"]


@pytest.mark.parametrize("name", ["default", "kube-system"])
def test_the_server_keeps_its_own_namespaces(api: Rest, name: str) -> None:
    response = api.request("DELETE", f"/api/v1/namespaces/{name}")
    assert status(response) == (
        403,
        "Forbidden",
        f'namespaces "{name}" is forbidden: this namespace may not be deleted',
    )


def test_a_namespace_waits_for_its_finalizers(api: Rest, cluster: Cluster) -> None:
    if cluster.real:
        pytest.skip("a real cluster's namespace controller finalizes it at once")
    path = f"/api/v1/namespaces/{cluster.namespace()}"
    ending = api.delete(path)
    assert (ending["status"]["phase"], ending["spec"]["finalizers"]) == ("Terminating", ["kubernetes"])
    assert status(api.request("DELETE", path))[:2] == (409, "Conflict")
    api.replace(f"{path}/finalize", ending | {"spec": {"finalizers": []}})
    assert api.request("GET", path).status_code == 404
