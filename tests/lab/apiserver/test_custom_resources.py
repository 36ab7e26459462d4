"""CustomResourceDefinitions, and the objects of the kinds that they add."""

from __future__ import annotations

import copy
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.apiserver.kubectl import Kubectl
from tests.lab.apiserver.rest import APPLY_PATCH, Object, Rest, status
from tests.lab.servers import StartServer

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REAL = Path(__file__).parents[4] / "shared" / "crds"
SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "colour": {"type": "string", "default": "red", "enum": ["red", "green"]},
                "replicas": {"type": "integer"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}}},
    },
}


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a time stays the text that it is, and so does a lone ``=``."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("timestamp", "value")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def definition(group: str) -> Object:
    columns = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {"status": {}, "scale": scale},
        "additionalPrinterColumns": columns,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"boxes.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "boxes", "kind": "Box", "shortNames": ["bx"]},
            "versions": [version, {**version, "name": "v1beta1", "storage": False}],
        },
    }


@pytest.fixture
def group() -> str:
    return f"g{uuid.uuid4().hex[:8]}.example.com"


@pytest.fixture
def boxes(api: Rest, group: str, namespace: str) -> Iterator[str]:
    """The path of the boxes of a fresh namespace. A real server takes a moment before it serves a new kind."""
    api.create(DEFINITIONS, definition(group))
    path = f"/apis/{group}/v1/namespaces/{namespace}/boxes"
    _await(lambda: f"apis/{group}/v1" in api.get("/openapi/v3")["paths"] and api.request("GET", path).ok)
    yield path
    api.request("DELETE", f"{DEFINITIONS}/boxes.{group}")


def _await(answer: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not answer():
        assert time.monotonic() < deadline, "not within 20 s"
        time.sleep(0.1)


def box(group: str, name: str, version: str = "v1", **spec: object) -> Object:
    return {"apiVersion": f"{group}/{version}", "kind": "Box", "metadata": {"name": name}, "spec": {"size": 1, **spec}}


def test_a_definition_is_established(api: Rest, group: str, boxes: str) -> None:
    told = api.get(f"{DEFINITIONS}/boxes.{group}")["status"]
    assert {item["type"]: item["status"] for item in told["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert told["acceptedNames"]["listKind"] == "BoxList"
    assert told["storedVersions"] == ["v1"]


def test_a_new_kind_is_discovered(api: Rest, group: str, boxes: str) -> None:
    found = api.get(f"/apis/{group}/v1")["resources"]
    assert {item["name"] for item in found} == {"boxes", "boxes/status", "boxes/scale"}
    assert found[0]["shortNames"] == ["bx"]
    assert api.get(f"/apis/{group}")["preferredVersion"]["version"] == "v1"
    assert f"apis/{group}/v1" in api.get("/openapi/v3")["paths"]


def test_its_objects_follow_its_schema(api: Rest, group: str, boxes: str) -> None:
    made = api.create(boxes, box(group, "a", stray=1, free={"any": "thing"}))
    assert made["spec"] == {"size": 1, "colour": "red", "free": {"any": "thing"}}
    assert made["metadata"]["generation"] == 1
    wrong = box(group, "b", size=0, colour="blue")
    code, reason, message = status(api.request("POST", boxes, json=wrong))
    assert (code, reason) == (422, "Invalid")
    assert f'Box.{group} "b" is invalid: [' in message
    assert 'spec.colour: Unsupported value: "blue": supported values: "red", "green"' in message
    assert "spec.size in body should be greater than or equal to 1" in message
    missing = {**box(group, "c"), "spec": {}}
    assert "spec.size: Required value" in status(api.request("POST", boxes, json=missing))[2]


def test_a_strict_client_hears_of_a_stray_field(api: Rest, group: str, boxes: str) -> None:
    response = api.request("POST", boxes, json=box(group, "a", stray=1), params={"fieldValidation": "Strict"})
    code, _, message = status(response)
    assert (code, 'unknown field "spec.stray"' in message) == (400, True)


def test_a_put_names_the_version_that_it_replaces(api: Rest, group: str, boxes: str) -> None:
    api.create(boxes, box(group, "a"))
    code, _, message = status(api.request("PUT", f"{boxes}/a", json=box(group, "a")))
    assert code == 422
    # 1.32 shows the missing version as Go writes it, later versions as JSON.
    assert re.search(r"metadata\.resourceVersion: Invalid value: 0(x0)?: must be specified for an update", message)


def test_status_and_scale_are_subresources(api: Rest, group: str, boxes: str) -> None:
    api.create(boxes, box(group, "a", replicas=2) | {"status": {"phase": "Fake"}})
    assert "status" not in api.get(f"{boxes}/a")
    told = api.patch(f"{boxes}/a/status", {"status": {"phase": "Ready"}, "spec": {"size": 9}})
    assert (told["status"], told["spec"]["size"], told["metadata"]["generation"]) == ({"phase": "Ready"}, 1, 1)
    scale = api.get(f"{boxes}/a/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 0})
    api.patch(f"{boxes}/a/scale", {"spec": {"replicas": 4}})
    changed = api.get(f"{boxes}/a")
    assert (changed["spec"]["replicas"], changed["metadata"]["generation"]) == (4, 2)


def test_it_has_no_strategic_patch(api: Rest, group: str, boxes: str) -> None:
    api.create(boxes, box(group, "a"))
    response = api.send_patch(f"{boxes}/a", {}, "application/strategic-merge-patch+json")
    assert status(response)[:2] == (415, "UnsupportedMediaType")
    assert api.patch(f"{boxes}/a", box(group, "a", size=2), APPLY_PATCH, fieldManager="me", force="true")


def test_an_object_is_seen_in_every_served_version(api: Rest, group: str, boxes: str) -> None:
    api.create(boxes, box(group, "a"))
    other = boxes.replace("/v1/", "/v1beta1/")
    assert api.get(f"{other}/a")["apiVersion"] == f"{group}/v1beta1"
    listed = api.get(other)
    assert [(item["apiVersion"], item["kind"]) for item in listed["items"]] == [(f"{group}/v1beta1", "Box")]
    api.patch(f"{other}/a", {"spec": {"size": 5}})
    assert api.get(f"{boxes}/a")["spec"]["size"] == 5


def test_a_version_that_is_no_longer_served_is_gone(api: Rest, group: str, boxes: str) -> None:
    change = copy.deepcopy(definition(group))
    change["spec"]["versions"][1]["served"] = False
    api.patch(f"{DEFINITIONS}/boxes.{group}", {"spec": change["spec"]})
    _await(lambda: api.request("GET", boxes.replace("/v1/", "/v1beta1/")).status_code == 404)
    _await(lambda: api.request("GET", boxes).ok)  # a real server sets its storage up again: 429 for a moment


def test_a_definition_takes_its_objects_with_it(api: Rest, group: str, boxes: str) -> None:
    """Not before their finalizers let them go."""
    api.create(boxes, box(group, "a"))
    held = box(group, "b")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    api.create(boxes, held)
    api.delete(f"{DEFINITIONS}/boxes.{group}")
    with api.watch(DEFINITIONS, fieldSelector=f"metadata.name=boxes.{group}") as watch:
        kind, ending = watch.next()
        assert (kind, bool(ending["metadata"]["deletionTimestamp"])) == ("ADDED", True)
        code, reason, message = status(api.request("POST", boxes, json=box(group, "c")))
        assert (code, reason) in ((405, "MethodNotAllowed"), (403, "Forbidden"))  # up to 1.33, and from 1.34 on
        assert message.endswith("create not allowed while custom resource definition is terminating")
        api.patch(f"{boxes}/b", {"metadata": {"finalizers": None}})
        while kind != "DELETED":
            kind, _ = watch.next()
    _await(lambda: api.request("GET", boxes).status_code == 404)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"metadata": {"name": "wrong"}}, 'metadata.name: Invalid value: "wrong": must be spec.names.plural'),
        ({"spec": {"versions": []}}, "must have exactly one version marked as storage version"),
    ],
)
def test_a_broken_definition_is_refused(api: Rest, group: str, change: Object, complaint: str) -> None:
    body = definition(group)
    for part, fields in change.items():
        body[part] |= fields
    code, _, message = status(api.request("POST", DEFINITIONS, json=body))
    assert (code, complaint in message) == (422, True), message


def test_kubectl_installs_gets_applies_and_waits(kubectl: Kubectl, group: str) -> None:
    kubectl("create", "-f", "-", stdin=json.dumps(definition(group)))
    kubectl("wait", f"crd/boxes.{group}", "--for=condition=Established", "--timeout=20s")
    assert kubectl("apply", "-f", "-", stdin=json.dumps(box(group, "a"))) == f"box.{group}/a created\n"
    assert kubectl("apply", "-f", "-", stdin=json.dumps(box(group, "a"))) == f"box.{group}/a unchanged\n"
    assert [line.split()[:2] for line in kubectl("get", f"bx.{group}").splitlines()] == [["NAME", "SIZE"], ["a", "1"]]
    kubectl("patch", f"box.{group}", "a", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Ready"}}')
    kubectl("wait", f"box.{group}/a", "--for=jsonpath={.status.phase}=Ready", "--timeout=20s")
    assert "FIELD: size <integer>" in kubectl("explain", "boxes.spec.size", f"--api-version={group}/v1")
    kubectl("delete", f"crd/boxes.{group}")


def test_all_definitions_of_the_cluster_are_accepted(start_server: StartServer) -> None:
    """The CRDs that the roadmap's components publish (69 of them on a real server v1.36)."""
    if not REAL.is_dir():
        pytest.skip(f"no CRDs to install: {REAL} is not there")
    server = start_server()
    api = Rest(server.kubeconfig)
    wanted = [
        document
        for path in sorted(REAL.glob("*.yaml"))
        for document in yaml.load_all(path.read_text(), _Loader)
        if document and document["kind"] == "CustomResourceDefinition"
    ]
    assert len(wanted) >= 60
    for body in wanted:
        api.create(DEFINITIONS, body, fieldValidation="Strict")
    groups = {group["name"] for group in api.get("/apis")["groups"]}
    assert {body["spec"]["group"] for body in wanted} <= groups
    server.stop()
    server.start()
    assert len(api.get(DEFINITIONS)["items"]) == len(wanted)
    for body in wanted:
        spec = body["spec"]
        version = next(item["name"] for item in spec["versions"] if item["served"])
        assert api.get(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")["items"] == []
