"""Discovery, OpenAPI, and the paths beside the resources."""

from __future__ import annotations

import pytest

from tests.lab.apiserver.rest import Rest
from tests.lab.cluster import Cluster


def test_core_resources_are_listed_under_v1(api: Rest) -> None:
    """kubectl maps no core kind when the group version is written otherwise."""
    found = api.get("/api/v1")
    assert (found["kind"], found["groupVersion"]) == ("APIResourceList", "v1")
    rows = {row["name"]: row for row in found["resources"]}
    assert rows["pods"]["shortNames"] == ["po"]
    assert rows["pods"]["categories"] == ["all"]
    assert rows["nodes"]["namespaced"] is False
    assert "deletecollection" not in rows["namespaces"]["verbs"]
    assert rows["serviceaccounts/token"]["kind"] == "TokenRequest"
    assert rows["pods/eviction"]["group"] == "policy"
    assert {"pods/log", "pods/exec", "pods/attach", "pods/binding", "pods/status"} <= rows.keys()


def test_groups_are_listed_with_their_preferred_version(api: Rest) -> None:
    groups = {group["name"]: group for group in api.get("/apis")["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert api.get("/apis/apps")["kind"] == "APIGroup"
    assert api.get("/api")["versions"] == ["v1"]


def test_all_groups_come_in_one_answer_to_those_who_ask(api: Rest) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    response = api.request("GET", "/apis", headers={"Accept": accept})
    assert response.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found = response.json()
    assert found["kind"] == "APIGroupDiscoveryList"
    apps = next(item for item in found["items"] if item["metadata"]["name"] == "apps")
    deployments = next(row for row in apps["versions"][0]["resources"] if row["resource"] == "deployments")
    assert (deployments["scope"], deployments["responseKind"]["kind"]) == ("Namespaced", "Deployment")
    assert {sub["subresource"] for sub in deployments["subresources"]} == {"status", "scale"}


def test_every_resource_that_is_told_of_can_be_listed(api: Rest) -> None:
    versions = ["/api/v1", *(f"/apis/{g['preferredVersion']['groupVersion']}" for g in api.get("/apis")["groups"])]
    listed = 0
    for version in versions:
        for row in api.get(version)["resources"]:
            if "list" in row["verbs"] and "/" not in row["name"]:
                assert "items" in api.get(f"{version}/{row['name']}", limit="1")
                listed += 1
    assert listed > 40


def test_openapi_describes_every_group(api: Rest) -> None:
    index = api.get("/openapi/v3")["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/apiextensions.k8s.io/v1"} <= index.keys()
    document = api.request("GET", index["apis/apps/v1"]["serverRelativeURL"]).json()
    schemas = document["components"]["schemas"]
    kinds = schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]
    assert kinds == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert "/apis/apps/v1/namespaces/{namespace}/deployments/{name}" in document["paths"]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_is_a_word(api: Rest, path: str) -> None:
    assert api.request("GET", path).text == "ok"


def test_the_version_is_that_of_k3s(api: Rest, cluster: Cluster) -> None:
    if cluster.real:
        pytest.skip("a real server has a version of its own")
    found = api.get("/version")
    assert (found["major"], found["minor"], found["gitVersion"]) == ("1", "32", "v1.32.2+k3s1")


def test_the_server_publishes_itself(api: Rest) -> None:
    service = api.get("/api/v1/namespaces/default/services/kubernetes")
    assert service["spec"]["ports"][0]["port"] == 443
    config = api.get("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
    assert config["data"]["client-ca-file"].startswith("-----BEGIN CERTIFICATE-----")
    names = {item["metadata"]["name"] for item in api.get("/api/v1/namespaces")["items"]}
    assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= names
