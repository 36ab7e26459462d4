"""Lists, selectors and pages."""

from __future__ import annotations

import pytest

from tests.lab.apiserver.objects import configmap, pod
from tests.lab.apiserver.rest import Object, Rest, status


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def four(api: Rest, path: str) -> list[str]:
    """Four ConfigMaps with labels n=0..3 and, on the even ones, even=yes."""
    names = []
    for number in range(4):
        labels = {"n": str(number), **({"even": "yes"} if number % 2 == 0 else {})}
        names.append(api.create(path, configmap(f"cm-{number}", labels))["metadata"]["name"])
    return names


def names(found: Object) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"] if item["metadata"]["name"].startswith("cm-")]


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("n=1", [1]),
        ("n==1", [1]),
        ("n!=1", [0, 2, 3]),
        ("n in (1, 2)", [1, 2]),
        ("n notin (1,2)", [0, 3]),
        ("even", [0, 2]),
        ("!even", [1, 3]),
        ("even,n!=0", [2]),
        ("n>1", [2, 3]),
        ("even in (yes),n in (0,1)", [0]),
    ],
)
def test_label_selectors_choose(api: Rest, path: str, four: list[str], selector: str, chosen: list[int]) -> None:
    found = names(api.get(path, labelSelector=f"{selector},n"))
    assert found == [f"cm-{number}" for number in chosen]


def test_a_broken_label_selector_is_refused(api: Rest, path: str) -> None:
    code, reason, message = status(api.request("GET", path, params={"labelSelector": "a in b"}))
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith("unable to parse requirement")


def test_objects_are_selected_by_name(api: Rest, path: str, four: list[str]) -> None:
    assert names(api.get(path, fieldSelector="metadata.name=cm-2")) == ["cm-2"]
    assert names(api.get(path, fieldSelector="metadata.name!=cm-2")) == ["cm-0", "cm-1", "cm-3"]


def test_pods_are_selected_by_their_fields(api: Rest, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    api.create(path, pod("bound", nodeName="no-such-node"))
    api.create(path, pod("free"))
    chosen = api.get(path, fieldSelector="spec.nodeName=no-such-node,status.phase=Pending")
    assert [item["metadata"]["name"] for item in chosen["items"]] == ["bound"]


def test_a_field_that_a_kind_cannot_be_selected_by_is_refused(api: Rest, namespace: str) -> None:
    pods = api.request("GET", f"/api/v1/namespaces/{namespace}/pods", params={"fieldSelector": "spec.hostname=a"})
    assert status(pods) == (400, "BadRequest", "field label not supported: spec.hostname")
    maps = api.request("GET", f"/api/v1/namespaces/{namespace}/configmaps", params={"fieldSelector": "data.a=b"})
    assert status(maps) == (
        400,
        "BadRequest",
        '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    )


def test_items_of_a_built_in_list_carry_no_kind(api: Rest, path: str, four: list[str]) -> None:
    """As on a real server: a reader who relies on an item's kind would break there."""
    found = api.get(path)
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMapList")
    assert all("kind" not in item and "apiVersion" not in item for item in found["items"])


def test_pages_show_one_state(api: Rest, path: str, four: list[str]) -> None:
    """What is written while somebody turns the pages does not show on them."""
    first = api.get(path, limit="2", labelSelector="n")
    assert "remainingItemCount" not in first["metadata"]  # it is told only for lists without a selector
    api.delete(f"{path}/cm-3")
    api.create(path, configmap("cm-9", {"n": "9"}))
    second = api.get(path, limit="2", labelSelector="n", **{"continue": first["metadata"]["continue"]})
    assert names(first) + names(second) == ["cm-0", "cm-1", "cm-2", "cm-3"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    rest = second["metadata"].get("continue")  # there may be more objects, of which the selector wants none
    assert not rest or names(api.get(path, limit="2", labelSelector="n", **{"continue": rest})) == []


def test_a_page_tells_how_many_items_remain(api: Rest, path: str, four: list[str]) -> None:
    whole = len(api.get(path)["items"])
    assert api.get(path, limit="1")["metadata"]["remainingItemCount"] == whole - 1


def test_a_made_up_continue_token_is_refused(api: Rest, path: str) -> None:
    code, reason, _ = status(api.request("GET", path, params={"limit": "1", "continue": "abc"}))
    assert (code, reason) == (400, "BadRequest")


def test_a_list_at_an_exact_resource_version_shows_the_past(api: Rest, path: str, four: list[str]) -> None:
    before = api.get(path)["metadata"]["resourceVersion"]
    api.delete(f"{path}/cm-0")
    past = api.get(path, resourceVersion=before, resourceVersionMatch="Exact", labelSelector="n")
    assert names(past) == four
    assert names(api.get(path, resourceVersion=before, labelSelector="n")) == four[1:]


def test_a_resource_version_from_the_future_times_out(api: Rest, path: str) -> None:
    response = api.request("GET", path, params={"resourceVersion": "999999999"})
    code, reason, message = status(response)
    assert (code, reason) == (504, "Timeout")
    assert message.startswith("Timeout: Too large resource version: 999999999, current: ")


def test_resource_version_match_needs_a_resource_version(api: Rest, path: str) -> None:
    code, reason, message = status(api.request("GET", path, params={"resourceVersionMatch": "Exact"}))
    assert (code, reason) == (422, "Invalid")
    assert "resourceVersionMatch is forbidden unless resourceVersion is provided" in message


def test_what_is_not_there_is_not_found(api: Rest, path: str) -> None:
    assert status(api.request("GET", f"{path}/nope")) == (404, "NotFound", 'configmaps "nope" not found')
    deployments = path.replace("/api/v1", "/apis/apps/v1").replace("configmaps", "deployments")
    assert status(api.request("GET", f"{deployments}/nope")) == (
        404,
        "NotFound",
        'deployments.apps "nope" not found',
    )


@pytest.mark.parametrize("path", ["/apis/nonsense.example/v1", "/nonsense"])
def test_an_unknown_path_is_a_plain_404(api: Rest, path: str) -> None:
    for method in ("GET", "POST"):
        response = api.request(method, path)
        assert (response.status_code, response.text) == (404, "404 page not found\n")


@pytest.mark.parametrize("path", ["/api/v1/nonsense", "/api/v2", "/apis/apps/v2", "/apis/apps/v1/nonsense"])
def test_an_unknown_resource_of_a_known_group_is_a_status(api: Rest, path: str) -> None:
    found = status(api.request("GET", path))
    assert found == (404, "NotFound", "the server could not find the requested resource")


def test_a_table_is_answered_to_those_who_ask_for_it(api: Rest, path: str, four: list[str]) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    table = api.request("GET", path, headers={"Accept": accept}).json()
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_metadata_alone_is_answered_to_those_who_ask_for_it(api: Rest, path: str, four: list[str]) -> None:
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
    found = api.request("GET", path, headers={"Accept": accept}).json()
    assert found["kind"] == "PartialObjectMetadataList"
    assert all(set(item) == {"kind", "apiVersion", "metadata"} for item in found["items"])
