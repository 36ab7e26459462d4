"""What happens to a pod on its way in, and its binding and eviction."""

from __future__ import annotations

import pytest

from tests.lab.apiserver.objects import deployment, pod
from tests.lab.apiserver.rest import Rest, status
from tests.lab.cluster import Cluster

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
ENFORCE, WARN = "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/warn"
LOOSE = {"containers": [{"name": "main", "image": "example/none:1"}]}
BROKEN = (
    'allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false), '
    'unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true), '
    'seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
    '"Localhost")'
)


@pytest.fixture
def pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def loose(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}, "spec": dict(LOOSE)}


def label(api: Rest, namespace: str, key: str, value: str) -> None:
    api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {key: value}}})


def test_a_new_pod_is_pending(api: Rest, pods: str) -> None:
    made = api.create(pods, pod("a", schedulerName="nobody"))
    assert (made["status"]["phase"], made["status"]["qosClass"]) == ("Pending", "BestEffort")
    tolerated = {item["key"]: item["tolerationSeconds"] for item in made["spec"]["tolerations"]}
    assert tolerated == {"node.kubernetes.io/not-ready": 300, "node.kubernetes.io/unreachable": 300}
    assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (0, "PreemptLowerPriority")


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}}, "Guaranteed"),
        ({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_quality_of_service_follows_from_the_resources(
    api: Rest, pods: str, resources: dict[str, object], expected: str
) -> None:
    body = pod("a", schedulerName="nobody")
    body["spec"]["containers"][0]["resources"] = resources
    assert api.create(pods, body)["status"]["qosClass"] == expected


@pytest.mark.parametrize("image", [{}, {"image": ""}], ids=["missing", "empty"])
def test_a_container_without_an_image_is_refused(api: Rest, pods: str, namespace: str, image: dict[str, str]) -> None:
    """The OpenAPI schema leaves the image optional; the server's own validation does not."""
    body = pod("a")
    body["spec"]["initContainers"] = [{"name": "first", **image}]
    required = "spec.initContainers[0].image: Required value"
    assert status(api.request("POST", pods, json=body)) == (422, "Invalid", f'Pod "a" is invalid: {required}')

    workload = deployment("a")
    workload["spec"]["template"]["spec"]["containers"] = [{"name": "main", **image}]
    response = api.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", json=workload)
    required = "spec.template.spec.containers[0].image: Required value"
    assert status(response) == (422, "Invalid", f'Deployment.apps "a" is invalid: {required}')


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1_000"])
def test_what_only_python_takes_for_a_number_is_no_quantity(api: Rest, pods: str, amount: str) -> None:
    """Whoever reads the pod later, such as the scheduler, could not read it."""
    body = pod("a")
    body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": amount}}
    code, reason, message = status(api.request("POST", pods, json=body))
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith(
        'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression'
    )


def test_every_field_of_that_type_holds_a_quantity(api: Rest, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1GiB"}}}
    refused = status(api.request("POST", path, json={"metadata": {"name": "a"}, "spec": spec}))
    assert refused[:2] == (400, "BadRequest")
    spec["resources"] = {"requests": {"storage": " 1Gi"}}  # blanks around it are dropped
    assert api.request("POST", path, json={"metadata": {"name": "a"}, "spec": spec}).status_code == 201


class TestServiceAccount:
    """Every pod runs as an account, whose token is mounted into it."""

    def test_the_default_account_and_its_token_are_given(self, api: Rest, pods: str) -> None:
        spec = api.create(pods, pod("a", schedulerName="nobody"))["spec"]
        assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
        mount = spec["containers"][0]["volumeMounts"][0]
        assert (mount["mountPath"], mount["readOnly"]) == (MOUNT_PATH, True)
        volume = next(item for item in spec["volumes"] if item["name"] == mount["name"])
        assert mount["name"].startswith("kube-api-access-")
        token, authority, downward = volume["projected"]["sources"]
        assert token == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
        assert authority["configMap"]["name"] == "kube-root-ca.crt"
        assert downward["downwardAPI"]["items"][0]["path"] == "namespace"

    def test_a_missing_account_is_refused(self, api: Rest, pods: str, namespace: str) -> None:
        response = api.request("POST", pods, json=pod("a", serviceAccountName="lost"))
        assert status(response) == (
            403,
            "Forbidden",
            f'pods "a" is forbidden: error looking up service account {namespace}/lost: '
            'serviceaccount "lost" not found',
        )

    def test_a_pod_may_do_without_the_token(self, api: Rest, pods: str) -> None:
        spec = api.create(pods, pod("a", schedulerName="nobody", automountServiceAccountToken=False))["spec"]
        assert "volumeMounts" not in spec["containers"][0]

    def test_an_account_may_do_without_the_token(self, api: Rest, pods: str, namespace: str) -> None:
        account = {"metadata": {"name": "quiet"}, "automountServiceAccountToken": False}
        api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
        spec = api.create(pods, pod("a", schedulerName="nobody", serviceAccountName="quiet"))["spec"]
        assert "volumeMounts" not in spec["containers"][0]

    def test_an_own_mount_at_the_place_stays(self, api: Rest, pods: str) -> None:
        body = pod("a", schedulerName="nobody", volumes=[{"name": "own", "emptyDir": {}}])
        body["spec"]["containers"][0]["volumeMounts"] = [{"name": "own", "mountPath": MOUNT_PATH}]
        spec = api.create(pods, body)["spec"]
        assert [mount["name"] for mount in spec["containers"][0]["volumeMounts"]] == ["own"]
        assert [volume["name"] for volume in spec["volumes"]] == ["own"]


class TestPodSecurity:
    """The Pod Security Standards, asked for by labels of the namespace."""

    def test_enforce_refuses_pods(self, api: Rest, pods: str, namespace: str) -> None:
        label(api, namespace, ENFORCE, "restricted")
        response = api.request("POST", pods, json=loose("a"))
        text = f'pods "a" is forbidden: violates PodSecurity "restricted:latest": {BROKEN}'
        assert status(response) == (403, "Forbidden", text)
        assert api.create(pods, pod("b", schedulerName="nobody"))

    def test_enforce_lets_workloads_pass(self, api: Rest, namespace: str) -> None:
        label(api, namespace, ENFORCE, "restricted")
        response = api.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", json=deployment("a", 0))
        assert response.status_code == 201

    def test_warn_warns_of_pods_and_workloads(self, api: Rest, pods: str, namespace: str) -> None:
        label(api, namespace, WARN, "restricted")
        expected = f'would violate PodSecurity "restricted:latest": {BROKEN}'.replace('"', '\\"')
        made = api.request("POST", pods, json=loose("a"))
        assert (made.status_code, made.headers["Warning"]) == (201, f'299 - "{expected}"')
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        workload = api.request("POST", path, json=deployment("a", 0))
        assert (workload.status_code, workload.headers["Warning"]) == (201, f'299 - "{expected}"')

    def test_a_dry_run_of_the_label_names_the_pods_in_its_way(self, api: Rest, pods: str, namespace: str) -> None:
        for name in ("a", "b"):
            api.create(pods, loose(name))
        change = {"metadata": {"labels": {ENFORCE: "restricted"}}}
        response = api.send_patch(f"/api/v1/namespaces/{namespace}", change, dryRun="All")
        assert response.headers["Warning"] == (
            f'299 - "existing pods in namespace \\"{namespace}\\" violate the new PodSecurity enforce level '
            '\\"restricted:latest\\"", 299 - "a (and 1 other pod): allowPrivilegeEscalation != false, '
            'unrestricted capabilities, runAsNonRoot != true, seccompProfile"'
        )
        assert ENFORCE not in api.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]

    def test_a_level_that_does_not_exist_is_refused(self, api: Rest, namespace: str) -> None:
        change = {"metadata": {"labels": {ENFORCE: "strict"}}}
        code, reason, message = status(api.send_patch(f"/api/v1/namespaces/{namespace}", change))
        assert (code, reason) == (422, "Invalid")
        assert "must be one of privileged, baseline, restricted" in message


def test_a_priority_class_gives_its_value(api: Rest, pods: str) -> None:
    made = api.create(pods, pod("a", schedulerName="nobody", priorityClassName="system-cluster-critical"))
    assert made["spec"]["priority"] == 2_000_000_000
    response = api.request("POST", pods, json=pod("b", priorityClassName="lost"))
    assert status(response)[::2] == (
        403,
        'pods "b" is forbidden: no PriorityClass with name lost was found',
    )


def test_a_pod_is_bound_once(api: Rest, pods: str) -> None:
    api.create(pods, pod("a", schedulerName="nobody"))
    binding = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "no-such-node"}}
    assert api.create(f"{pods}/a/binding", binding)["status"] == "Success"
    bound = api.get(f"{pods}/a")
    assert bound["spec"]["nodeName"] == "no-such-node"
    condition = next(item for item in bound["status"]["conditions"] if item["type"] == "PodScheduled")
    assert condition["status"] == "True"
    code, reason, message = status(api.request("POST", f"{pods}/a/binding", json=binding))
    assert (code, reason) == (409, "Conflict")
    assert 'pod a is already assigned to node "no-such-node"' in message


def test_an_eviction_is_a_deletion(api: Rest, pods: str) -> None:
    api.create(pods, pod("a", schedulerName="nobody"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    assert api.create(f"{pods}/a/eviction", eviction)["status"] == "Success"
    assert api.request("GET", f"{pods}/a").status_code == 404


def test_a_budget_stops_an_eviction(api: Rest, pods: str, namespace: str, cluster: Cluster) -> None:
    if cluster.real:
        pytest.skip("a real cluster's disruption controller writes the budget's status itself")
    body = pod("a", nodeName="no-such-node")
    body["metadata"]["labels"] = {"app": "a"}
    api.create(pods, body)
    api.patch(f"{pods}/a/status", {"status": {"phase": "Running"}})
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    budget = {"metadata": {"name": "a"}, "spec": spec}
    api.create(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets", budget)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    code, reason, message = status(api.request("POST", f"{pods}/a/eviction", json=eviction))
    assert (code, reason) == (429, "TooManyRequests")
    assert message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert api.get(f"{pods}/a")
