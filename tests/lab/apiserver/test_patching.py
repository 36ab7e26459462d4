"""The four kinds of patches, and who owns which field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.apiserver.objects import configmap, deployment
from tests.lab.apiserver.rest import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Object, Rest, status
from tests.lab.cluster import Cluster


@pytest.fixture
def path(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def image_of(obj: Object) -> list[tuple[str, str]]:
    return [(item["name"], item["image"]) for item in obj["spec"]["template"]["spec"]["containers"]]


def containers(*items: Any) -> Object:
    return {"spec": {"template": {"spec": {"containers": list(items)}}}}


def test_a_merge_patch_replaces_lists(api: Rest, path: str) -> None:
    api.create(path, deployment("a"))
    changed = api.patch(f"{path}/a", containers({"name": "other", "image": "x:1"}), MERGE_PATCH)
    assert image_of(changed) == [("other", "x:1")]


def test_a_strategic_patch_merges_lists_by_their_key(api: Rest, path: str) -> None:
    api.create(path, deployment("a"))
    changed = api.patch(f"{path}/a", containers({"name": "other", "image": "x:1"}), STRATEGIC_PATCH)
    assert sorted(image_of(changed)) == [("main", "example/none:1"), ("other", "x:1")]
    left = api.patch(f"{path}/a", containers({"name": "main", "$patch": "delete"}), STRATEGIC_PATCH)
    assert image_of(left) == [("other", "x:1")]


def test_a_strategic_patch_needs_keys_that_can_be_compared(api: Rest, path: str, cluster: Cluster) -> None:
    if cluster.real:
        pytest.skip("a real server panics over such a patch and cuts the connection")
    api.create(path, deployment("a"))
    response = api.send_patch(f"{path}/a", containers({"name": {}, "image": "x:1"}), STRATEGIC_PATCH)
    assert status(response)[:2] == (400, "BadRequest")


def test_a_json_patch_is_all_or_nothing(api: Rest, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api.create(path, configmap("a", x="1"))
    good = [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "replace", "path": "/data/x", "value": "2"}]
    assert api.patch(f"{path}/a", good, JSON_PATCH)["data"] == {"x": "2"}
    response = api.send_patch(f"{path}/a", good, JSON_PATCH)
    assert status(response) == (
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )
    assert api.get(f"{path}/a")["data"] == {"x": "2"}


def test_an_unknown_patch_format_is_unsupported(api: Rest, path: str) -> None:
    api.create(path, deployment("a"))
    refused = status(api.send_patch(f"{path}/a", {}, "application/json"))
    assert refused == (415, "UnsupportedMediaType", "415: Unsupported Media Type")


def test_a_patch_of_what_is_not_there_is_not_found(api: Rest, path: str) -> None:
    assert status(api.send_patch(f"{path}/nope", {}))[2] == 'deployments.apps "nope" not found'


class TestApply:
    """Server-side apply."""

    def test_it_creates_what_is_missing(self, api: Rest, path: str) -> None:
        response = api.apply(f"{path}/a", deployment("a"), "me")
        assert response.status_code == 201
        assert api.apply(f"{path}/a", deployment("a"), "me").status_code == 200
        owner = response.json()["metadata"]["managedFields"][0]
        assert (owner["manager"], owner["operation"], owner["apiVersion"]) == ("me", "Apply", "apps/v1")

    def test_a_field_of_another_manager_is_a_conflict(self, api: Rest, path: str) -> None:
        api.apply(f"{path}/a", deployment("a", 1), "first")
        response = api.apply(f"{path}/a", deployment("a", 2), "second")
        assert status(response) == (
            409,
            "Conflict",
            'Apply failed with 1 conflict: conflict with "first": .spec.replicas',
        )
        assert response.json()["details"]["causes"] == [
            {"reason": "FieldManagerConflict", "message": 'conflict with "first"', "field": ".spec.replicas"}
        ]

    def test_a_conflict_with_an_update_names_the_version_that_wrote(self, api: Rest, path: str) -> None:
        """People read this text: it says who else writes the field, and by which API version."""
        api.create(path, deployment("a", 1), fieldManager="kubectl-client-side-apply")
        _, _, message = status(api.apply(f"{path}/a", deployment("a", 2), "me"))
        assert message == (
            'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
        )

    def test_force_takes_the_field_over(self, api: Rest, path: str) -> None:
        api.apply(f"{path}/a", deployment("a", 1), "first")
        taken = api.apply(f"{path}/a", deployment("a", 2), "second", force="true").json()
        assert taken["spec"]["replicas"] == 2
        owners = {
            item["manager"]: item["fieldsV1"]["f:spec"]
            for item in taken["metadata"]["managedFields"]
            if "f:spec" in item["fieldsV1"]
        }
        assert ("f:replicas" in owners["first"], "f:replicas" in owners["second"]) == (False, True)

    def test_the_same_value_is_owned_together(self, api: Rest, path: str) -> None:
        api.apply(f"{path}/a", deployment("a"), "first")
        assert api.apply(f"{path}/a", deployment("a"), "second").status_code == 200

    def test_a_field_that_its_only_manager_leaves_out_goes(self, api: Rest, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/configmaps/a"
        both = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}}
        api.apply(path, both, "first")
        api.apply(path, both | {"data": {"y": "2"}}, "second")
        left = api.apply(path, both | {"data": {}}, "first").json()
        assert left["data"] == {"y": "2"}

    def test_ports_are_told_apart_by_their_default_protocol(self, api: Rest, namespace: str) -> None:
        """A port without a protocol is a TCP port: applying it twice must not make two of it."""
        path = f"/api/v1/namespaces/{namespace}/services/a"
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
        api.apply(path, body, "me")
        again = api.apply(path, body, "me").json()
        assert [(port["port"], port["protocol"]) for port in again["spec"]["ports"]] == [(80, "TCP")]

    def test_status_is_applied_at_its_own_place(self, api: Rest, path: str) -> None:
        api.apply(f"{path}/a", deployment("a"), "me")
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "status": {"replicas": 3}}
        told = api.apply(f"{path}/a/status", body, "me").json()
        assert (told["status"]["replicas"], told["spec"]["replicas"]) == (3, 1)
        entries = {entry.get("subresource", ""): entry for entry in told["metadata"]["managedFields"]}
        assert entries["status"]["fieldsV1"] == {"f:status": {"f:replicas": {}}}
        assert "f:status" not in entries[""]["fieldsV1"]
        again = api.apply(f"{path}/a", deployment("a") | {"status": {"replicas": 9}}, "me").json()
        assert again["status"]["replicas"] == 3
        main = next(entry for entry in again["metadata"]["managedFields"] if "subresource" not in entry)
        assert "f:status" not in main["fieldsV1"]

    def test_it_needs_a_manager(self, api: Rest, path: str) -> None:
        response = api.send_patch(f"{path}/a", deployment("a"), APPLY_PATCH)
        assert status(response) == (
            422,
            "Invalid",
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        )

    def test_it_refuses_managed_fields(self, api: Rest, path: str) -> None:
        body = deployment("a")
        body["metadata"]["managedFields"] = [{"manager": "me"}]
        assert status(api.apply(f"{path}/a", body, "me"))[::2] == (400, "metadata.managedFields must be nil")

    def test_it_refuses_unknown_fields(self, api: Rest, path: str) -> None:
        body = deployment("a")
        body["spec"]["replica"] = 1
        code, _, message = status(api.apply(f"{path}/a", body, "me"))
        assert code == 500
        assert message.startswith("failed to create typed patch object (")
        assert ".spec.replica: field not declared in schema" in message

    def test_an_old_version_is_a_conflict(self, api: Rest, path: str) -> None:
        old = api.apply(f"{path}/a", deployment("a"), "me").json()["metadata"]["resourceVersion"]
        api.patch(f"{path}/a", {"metadata": {"labels": {"x": "y"}}})
        body = deployment("a")
        body["metadata"]["resourceVersion"] = old
        assert status(api.apply(f"{path}/a", body, "me"))[:2] == (409, "Conflict")

    def test_a_dry_run_stores_nothing(self, api: Rest, path: str) -> None:
        assert api.apply(f"{path}/a", deployment("a"), "me", dryRun="All").status_code == 201
        assert api.request("GET", f"{path}/a").status_code == 404


class TestScale:
    """The scale subresource."""

    def test_it_reads_and_writes_replicas(self, api: Rest, path: str) -> None:
        api.create(path, deployment("a", 2))
        scale = api.get(f"{path}/a/scale")
        assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 2}, "app=a")
        assert api.patch(f"{path}/a/scale", {"spec": {"replicas": 5}})["spec"] == {"replicas": 5}
        scale["spec"]["replicas"] = 1
        scale["metadata"].pop("resourceVersion")
        api.replace(f"{path}/a/scale", scale)
        changed = api.get(f"{path}/a")
        assert (changed["spec"]["replicas"], changed["metadata"]["generation"]) == (1, 3)

    def test_an_old_scale_is_a_conflict(self, api: Rest, path: str) -> None:
        api.create(path, deployment("a", 2))
        old = api.get(f"{path}/a/scale")
        api.patch(f"{path}/a", {"spec": {"replicas": 3}})
        assert status(api.request("PUT", f"{path}/a/scale", json=old))[:2] == (409, "Conflict")
