"""Creating and updating: what is refused and how, and what a write leaves alone."""

from __future__ import annotations

import re
import uuid

import pytest

from tests.lab.apiserver.objects import configmap, deployment, pod
from tests.lab.apiserver.rest import Rest, status
from tests.lab.cluster import Cluster


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def test_an_object_gets_its_identity_from_the_server(api: Rest, path: str, namespace: str) -> None:
    made = api.create(path, configmap("a", x="1"))
    own = made["metadata"]
    assert (made["apiVersion"], made["kind"], own["namespace"]) == ("v1", "ConfigMap", namespace)
    assert uuid.UUID(own["uid"])
    assert int(own["resourceVersion"]) > 0
    assert own["creationTimestamp"].endswith("Z")
    assert "generation" not in own
    assert own["managedFields"][0]["operation"] == "Update"


def test_the_same_name_twice_is_a_conflict(api: Rest, path: str) -> None:
    api.create(path, configmap("a"))
    response = api.request("POST", path, json=configmap("a"))
    assert status(response) == (409, "AlreadyExists", 'configmaps "a" already exists')
    assert response.json()["details"] == {"name": "a", "kind": "configmaps"}


def test_a_new_object_has_no_version_yet(api: Rest, path: str) -> None:
    """Who creates what was read elsewhere has to take the version out."""
    body = configmap("a")
    body["metadata"]["resourceVersion"] = "1"
    code, _, message = status(api.request("POST", path, json=body))
    assert (code, message) == (500, "resourceVersion should not be set on objects to be created")


def test_generate_name_makes_a_name(api: Rest, path: str) -> None:
    body = {"metadata": {"generateName": "made-"}}
    first, second = (api.create(path, body)["metadata"]["name"] for _ in range(2))
    assert first != second
    assert all(name.startswith("made-") and len(name) == len("made-") + 5 for name in (first, second))


def test_an_object_without_a_name_is_refused(api: Rest, path: str) -> None:
    code, reason, message = status(api.request("POST", path, json={"metadata": {}}))
    assert (code, reason) == (422, "Invalid")
    assert "name or generateName is required" in message


@pytest.mark.parametrize("name", ["Capital", "under_score", "-dash", "a/b"])
def test_a_name_that_is_no_subdomain_is_refused(api: Rest, path: str, name: str) -> None:
    code, reason, message = status(api.request("POST", path, json=configmap(name)))
    assert (code, reason) == (422, "Invalid")
    assert f'ConfigMap "{name}" is invalid: metadata.name: Invalid value: "{name}": a lowercase RFC 1123' in message


def test_nothing_is_created_in_a_missing_namespace(api: Rest) -> None:
    response = api.request("POST", "/api/v1/namespaces/no-such-place/configmaps", json=configmap("a"))
    assert status(response) == (404, "NotFound", 'namespaces "no-such-place" not found')


def test_nothing_is_created_in_a_namespace_that_is_going_away(api: Rest, cluster: Cluster) -> None:
    if cluster.real:
        pytest.skip("a real cluster's namespace controller empties it at once")
    namespace = cluster.namespace()
    gone = api.delete(f"/api/v1/namespaces/{namespace}")
    assert gone["status"]["phase"] == "Terminating"
    response = api.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", json=configmap("a"))
    assert status(response) == (
        403,
        "Forbidden",
        f'configmaps "a" is forbidden: unable to create new content in namespace {namespace} because it is being '
        "terminated",
    )
    assert response.json()["details"]["causes"][0]["reason"] == "NamespaceTerminating"


def test_a_body_for_another_namespace_is_refused(api: Rest, path: str) -> None:
    body = configmap("a")
    body["metadata"]["namespace"] = "elsewhere"
    assert status(api.request("POST", path, json=body))[::2] == (
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    )


def test_a_body_of_another_version_is_refused(api: Rest, namespace: str) -> None:
    body = deployment("a") | {"apiVersion": "apps/v1beta1"}
    code, reason, message = status(api.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", json=body))
    assert (code, reason) == (400, "BadRequest")
    assert "apps/v1beta1" in message


def test_an_update_of_an_old_state_is_a_conflict(api: Rest, path: str) -> None:
    old = api.create(path, configmap("a"))
    api.patch(f"{path}/a", {"data": {"x": "1"}})
    response = api.request("PUT", f"{path}/a", json=old)
    assert status(response) == (
        409,
        "Conflict",
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again",
    )


def test_a_patch_may_insist_on_the_state_it_knows(api: Rest, path: str) -> None:
    old = api.create(path, configmap("a"))["metadata"]["resourceVersion"]
    api.patch(f"{path}/a", {"data": {"x": "1"}})
    response = api.send_patch(f"{path}/a", {"metadata": {"resourceVersion": old}, "data": {"x": "2"}})
    assert status(response)[:2] == (409, "Conflict")


def test_an_update_of_another_object_of_the_same_name_is_a_conflict(api: Rest, path: str) -> None:
    api.create(path, configmap("a"))
    body = configmap("a")
    body["metadata"]["uid"] = str(uuid.uuid4())
    code, reason, message = status(api.request("PUT", f"{path}/a", json=body))
    assert (code, reason) == (409, "Conflict")
    assert "Precondition failed: UID in precondition" in message


def test_a_write_that_changes_nothing_keeps_the_version(api: Rest, path: str) -> None:
    made = api.create(path, configmap("a", x="1"))
    again = api.replace(f"{path}/a", made)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_generation_counts_the_changes_of_the_spec(api: Rest, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    assert api.create(path, deployment("a"))["metadata"]["generation"] == 1
    labelled = api.patch(f"{path}/a", {"metadata": {"labels": {"x": "y"}}})
    assert labelled["metadata"]["generation"] == 1
    assert api.patch(f"{path}/a", {"spec": {"replicas": 0}})["metadata"]["generation"] == 2
    told = api.patch(f"{path}/a/status", {"status": {"observedGeneration": 2}})
    assert told["metadata"]["generation"] == 2


def test_status_and_spec_are_written_at_their_own_places(api: Rest, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api.create(path, deployment("a") | {"status": {"replicas": 7}})
    assert api.get(f"{path}/a").get("status", {}).get("replicas") != 7
    changed = api.patch(f"{path}/a", {"status": {"replicas": 8}, "spec": {"replicas": 0}})
    assert changed.get("status", {}).get("replicas") != 8
    told = api.patch(f"{path}/a/status", {"status": {"replicas": 3}, "spec": {"replicas": 99}})
    assert (told["status"]["replicas"], told["spec"]["replicas"]) == (3, 0)


def test_defaults_are_filled_in(api: Rest, namespace: str) -> None:
    made = api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment("a"))
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"


def test_a_new_node_takes_no_pods_before_its_controller_has_seen_it(api: Rest) -> None:
    own = {"key": "example.com/mine", "effect": "NoSchedule"}
    name = f"node-{uuid.uuid4().hex[:8]}"
    made = api.create("/api/v1/nodes", {"metadata": {"name": name}, "spec": {"taints": [own]}})
    api.delete(f"/api/v1/nodes/{name}")
    assert made["spec"]["taints"] == [own, {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


def test_a_dry_run_answers_and_stores_nothing(api: Rest, path: str) -> None:
    made = api.create(path, configmap("a"), dryRun="All")
    assert made["metadata"]["uid"]
    assert api.request("GET", f"{path}/a").status_code == 404
    api.create(path, configmap("b", x="1"))
    assert api.patch(f"{path}/b", {"data": {"x": "2"}}, dryRun="All")["data"] == {"x": "2"}
    assert api.request("DELETE", f"{path}/b", params={"dryRun": "All"}).ok
    assert api.get(f"{path}/b")["data"] == {"x": "1"}


def test_an_unknown_dry_run_is_refused(api: Rest, path: str) -> None:
    """1.32 shows the refused list as Go writes it, later versions as JSON."""
    code, reason, message = status(api.request("POST", path, json=configmap("a"), params={"dryRun": "Some"}))
    assert (code, reason) == (422, "Invalid")
    assert re.search(r'dryRun: Unsupported value: (\[]string\{"Some"}|\["Some"]): supported values: "All"$', message)


class TestUnknownFields:
    """fieldValidation: Strict refuses, Warn (the default) tells, Ignore drops them silently."""

    BODY = pod("a") | {"speck": 1}

    @pytest.fixture
    def pods(self, namespace: str) -> str:
        return f"/api/v1/namespaces/{namespace}/pods"

    def test_strict_refuses(self, api: Rest, pods: str) -> None:
        response = api.request("POST", pods, json=self.BODY, params={"fieldValidation": "Strict"})
        assert status(response) == (
            400,
            "BadRequest",
            'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "speck"',
        )

    def test_warn_is_the_default_and_drops(self, api: Rest, pods: str) -> None:
        response = api.request("POST", pods, json=self.BODY)
        assert response.headers["Warning"] == '299 - "unknown field \\"speck\\""'
        assert "speck" not in response.json()

    def test_ignore_drops_silently(self, api: Rest, pods: str) -> None:
        response = api.request("POST", pods, json=self.BODY, params={"fieldValidation": "Ignore"})
        assert "Warning" not in response.headers
        assert "speck" not in response.json()

    def test_a_strict_patch_is_refused_as_invalid(self, api: Rest, path: str) -> None:
        api.create(path, configmap("a"))
        response = api.send_patch(f"{path}/a", {"dada": {}}, fieldValidation="Strict")
        code, reason, message = status(response)
        assert (code, reason) == (422, "Invalid")
        assert 'strict decoding error: unknown field "dada"' in message


def test_every_fault_of_an_object_is_named_at_once(api: Rest, namespace: str) -> None:
    body = pod("a", restartPolicy="Sometimes")
    body["spec"]["containers"][0]["volumeMounts"] = [{"name": "lost", "mountPath": "/x"}]
    response = api.request("POST", f"/api/v1/namespaces/{namespace}/pods", json=body)
    code, reason, message = status(response)
    assert (code, reason) == (422, "Invalid")
    assert message.startswith('Pod "a" is invalid: [')
    assert 'spec.containers[0].volumeMounts[0].name: Not found: "lost"' in message
    assert 'spec.restartPolicy: Unsupported value: "Sometimes"' in message
    fields = {cause["field"]: cause["reason"] for cause in response.json()["details"]["causes"]}
    assert fields["spec.containers[0].volumeMounts[0].name"] == "FieldValueNotFound"
    assert fields["spec.restartPolicy"] == "FieldValueNotSupported"


def test_a_workload_must_select_its_own_pods(api: Rest, namespace: str) -> None:
    body = deployment("a")
    body["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    _, _, message = status(api.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", json=body))
    assert "`selector` does not match template `labels`" in message


def test_what_may_not_change_does_not_change(api: Rest, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api.create(path, deployment("a"))
    labels = {"app": "other"}
    change = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
    code, reason, message = status(api.send_patch(f"{path}/a", change))
    assert (code, reason) == (422, "Invalid")
    assert "field is immutable" in message


def test_string_data_of_a_secret_becomes_data(api: Rest, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    made = api.create(path, {"metadata": {"name": "a"}, "stringData": {"password": "geheim"}})
    assert made["data"] == {"password": "Z2VoZWlt"}
    assert (made["type"], "stringData" in made) == ("Opaque", False)
    code, _, message = status(api.send_patch(f"{path}/a", {"type": "kubernetes.io/tls"}))
    assert (code, "type" in message) == (422, True)


def test_a_tls_secret_needs_its_keys(api: Rest, namespace: str) -> None:
    body = {"metadata": {"name": "a"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "YQ=="}}
    code, _, message = status(api.request("POST", f"/api/v1/namespaces/{namespace}/secrets", json=body))
    assert (code, "data[tls.key]: Required value" in message) == (422, True)


def test_services_get_an_address_of_their_own_and_keep_it(api: Rest, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/services"
    spec = {"ports": [{"port": 80}], "selector": {"app": "a"}}
    first, second = (api.create(path, {"metadata": {"name": name}, "spec": spec})["spec"] for name in ("a", "b"))
    assert first["clusterIP"] != second["clusterIP"]
    assert first["clusterIPs"] == [first["clusterIP"]]
    kept = api.patch(f"{path}/a", {"spec": {"type": "NodePort"}})["spec"]
    assert kept["clusterIP"] == first["clusterIP"]
    assert 30000 <= kept["ports"][0]["nodePort"] <= 32767
    headless = api.create(path, {"metadata": {"name": "c"}, "spec": {**spec, "clusterIP": "None"}})
    assert headless["spec"]["clusterIP"] == "None"


def test_a_body_that_is_no_json_is_refused(api: Rest, path: str) -> None:
    response = api.request("POST", path, data=b"{", headers={"Content-Type": "application/json"})
    assert status(response)[:2] == (400, "BadRequest")


def test_yaml_bodies_are_read(api: Rest, path: str) -> None:
    """A time in YAML stays the text that it is."""
    text = "metadata: {name: a}\ndata: {when: 2026-01-01T00:00:00Z}\n"
    response = api.request("POST", path, data=text, headers={"Content-Type": "application/yaml"})
    assert response.json()["data"] == {"when": "2026-01-01T00:00:00Z"}


def test_an_unknown_body_format_is_unsupported(api: Rest, path: str) -> None:
    response = api.request("POST", path, data=b"\xa1", headers={"Content-Type": "application/cbor"})
    assert status(response)[:2] == (415, "UnsupportedMediaType")


def test_a_body_beyond_the_limit_is_refused(api: Rest, path: str) -> None:
    response = api.request("POST", path, json=configmap("a", x="x" * (3 * 1024 * 1024)))
    assert response.status_code == 413


def test_an_unsupported_method_is_refused(api: Rest, path: str) -> None:
    assert api.request("PUT", path, json={}).status_code == 405


def test_a_stateful_sets_containers_may_mount_its_claims(api: Rest, namespace: str) -> None:
    """Its pods get a volume for each, which no volume of the template names."""
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    container = {"name": "c", "image": "busybox", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    spec = {
        "serviceName": "s",
        "selector": {"matchLabels": {"app": "s"}},
        "template": {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [container]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": storage}],
    }
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
    assert api.create(path, {"metadata": {"name": "s"}, "spec": spec})["spec"]["volumeClaimTemplates"]
