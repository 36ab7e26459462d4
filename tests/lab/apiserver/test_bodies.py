"""Bodies that are wrong, or written in protobuf."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.lab.apiserver.objects import configmap, deployment, pod
from tests.lab.apiserver.rest import Rest, status
from tests.lab.cluster import Cluster

PROTOBUF = "application/vnd.kubernetes.protobuf"


def varint(number: int) -> bytes:
    head, rest = number & 0x7F, number >> 7
    return bytes([head | 0x80]) + varint(rest) if rest else bytes([head])


def field(number: int, content: bytes | str | int) -> bytes:
    """One field of a protobuf message: a number, or a text or message with its length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def envelope(version: str, kind: str, message: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, version) + field(2, kind)) + field(2, message)


def send(api: Rest, path: str, body: bytes, method: str = "POST") -> Any:
    return api.request(method, path, data=body, headers={"Content-Type": PROTOBUF})


def test_a_secret_in_protobuf_is_read(api: Rest, namespace: str) -> None:
    """As helm stores its releases: binary data, labels, and Go's zero values, which JSON leaves out."""
    label = field(11, field(1, "owner") + field(2, "helm"))
    meta = field(1, "release") + field(2, "") + field(3, namespace) + field(7, 0) + field(8, b"") + label
    data = field(2, field(1, "release") + field(2, b"\x00\xff\x1f"))
    body = envelope("v1", "Secret", field(1, meta) + data + field(3, "helm.sh/release.v1"))
    made = send(api, f"/api/v1/namespaces/{namespace}/secrets", body).json()
    assert made["data"] == {"release": base64.b64encode(b"\x00\xff\x1f").decode()}
    assert (made["type"], made["metadata"]["labels"]) == ("helm.sh/release.v1", {"owner": "helm"})
    assert made["metadata"]["name"] == "release"


def test_a_deletion_in_protobuf_keeps_its_grace(api: Rest, namespace: str) -> None:
    """A zero that was said is not a zero that was left out."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    api.create(path, pod("a", nodeName="no-such-node"))
    response = send(api, f"{path}/a", envelope("v1", "DeleteOptions", field(1, 0)), "DELETE")
    assert response.status_code == 200
    assert api.request("GET", f"{path}/a").status_code == 404


def test_a_deployment_in_protobuf_is_read_whole(api: Rest, namespace: str) -> None:
    labels = field(1, field(1, "app") + field(2, "a"))
    port = field(6, field(3, 80) + field(4, "TCP"))
    limits = field(8, field(1, field(1, "cpu") + field(2, field(1, "500m"))))
    container = field(2, field(1, "main") + field(2, "x:1") + field(3, "run") + port + limits)
    surge = field(2, field(2, field(1, 1) + field(2, 0) + field(3, "50%")))
    template = field(3, field(1, field(11, field(1, "app") + field(2, "a"))) + field(2, container))
    spec = field(1, 0) + field(2, labels) + template + field(4, field(1, "RollingUpdate") + surge)
    body = envelope("apps/v1", "Deployment", field(1, field(1, "a")) + field(2, spec) + field(3, b""))
    made = send(api, f"/apis/apps/v1/namespaces/{namespace}/deployments", body).json()["spec"]
    found = made["template"]["spec"]["containers"][0]
    assert (made["replicas"], made["strategy"]["rollingUpdate"]["maxSurge"]) == (0, "50%")
    assert (found["command"], found["ports"]) == (["run"], [{"containerPort": 80, "protocol": "TCP"}])
    assert found["resources"] == {"limits": {"cpu": "500m"}}


@pytest.mark.parametrize(
    "body",
    [
        envelope("v1", "LimitRange", field(1, field(1, "a"))),
        envelope("v1", "ConfigMap", field(1, field(1, "a")) + field(99, "more")),
    ],
    ids=["kind", "field"],
)
def test_what_cannot_be_read_whole_from_protobuf_is_refused(
    api: Rest, namespace: str, body: bytes, cluster: Cluster
) -> None:
    """Nothing of a body may get lost silently."""
    if cluster.real:
        pytest.skip("a real server reads every kind, and passes over fields of later versions")
    response = send(api, f"/api/v1/namespaces/{namespace}/configmaps", body)
    assert response.status_code in (400, 415)
    assert api.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/a").status_code == 404


@pytest.mark.parametrize("body", [b"k8s\0\x0a\xff", b"nonsense", b"k8s\0\x0d\x01"])
def test_broken_protobuf_is_refused(api: Rest, namespace: str, body: bytes) -> None:
    assert send(api, f"/api/v1/namespaces/{namespace}/configmaps", body).status_code == 400


def test_a_value_of_a_wrong_type_is_refused(api: Rest, namespace: str) -> None:
    body = deployment("a")
    body["spec"]["replicas"] = "many"
    response = api.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", json=body)
    code, reason, message = status(response)
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith(
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct '
        "field "
    )
    assert "spec.replicas of type int" in message


@pytest.mark.parametrize(
    "change",
    [{"metadata": 1}, {"metadata": {"labels": ["a"]}}, {"metadata": {"name": 7}}, {"data": "text"}, {"kind": "Pod"}],
)
def test_a_body_of_a_wrong_shape_is_refused(api: Rest, namespace: str, change: dict[str, Any]) -> None:
    body = {**configmap("a"), "apiVersion": "v1", "kind": "ConfigMap", **change}
    response = api.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", json=body)
    assert status(response)[:2] == (400, "BadRequest")


@pytest.mark.parametrize("body", [[], "text", 1, {"spec": 1}, {"spec": {"resourceAttributes": []}}])
def test_a_review_of_a_wrong_shape_is_refused(api: Rest, body: Any) -> None:
    response = api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=body)
    assert status(response)[:2] == (400, "BadRequest")


def test_delete_options_of_a_wrong_shape_are_refused(api: Rest, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api.create(path, configmap("a"))
    response = api.request("DELETE", f"{path}/a", json={"gracePeriodSeconds": "soon"})
    assert status(response)[:2] == (400, "BadRequest")
    assert api.get(f"{path}/a")
