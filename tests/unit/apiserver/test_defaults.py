"""Defaults, from schemas and from data/defaults.yaml."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from lab.apiserver.defaults import apply_defaults
from lab.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]
SchemaOf = Callable[[Object], Schema | None]


@pytest.fixture
def filled(schemas: Schemas, schema_of: SchemaOf) -> Callable[[Object], Object]:
    """A copy of an object with its defaults."""

    def fill(obj: Object) -> Object:
        out = copy.deepcopy(obj)
        apply_defaults(schemas, schema_of(out), out)
        return out

    return fill


def pod(**spec: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}


def test_a_deployment_gets_what_a_real_server_gives_it(filled: Any, web: Object) -> None:
    spec = filled(web)["spec"]
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    template = spec["template"]["spec"]
    assert template["restartPolicy"] == "Always"
    assert template["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert "enableServiceLinks" not in template, "pods have this default, templates do not"


def test_what_is_set_stays(filled: Any, web: Object) -> None:
    web["spec"]["replicas"] = 0
    web["spec"]["strategy"] = {"type": "Recreate"}
    spec = filled(web)["spec"]
    assert (spec["replicas"], spec["strategy"]) == (0, {"type": "Recreate"})


def test_filling_in_twice_changes_nothing(filled: Any, web: Object) -> None:
    assert filled(filled(web)) == filled(web)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("app", "Always"),
        ("app:latest", "Always"),
        ("registry:5000/app", "Always"),
        ("registry:5000/team/app:1.2", "IfNotPresent"),
        ("app:1", "IfNotPresent"),
        ("app@sha256:0123", "IfNotPresent"),
    ],
)
def test_only_the_tag_latest_is_always_pulled(filled: Any, image: str, policy: str) -> None:
    (container,) = filled(pod(containers=[{"name": "a", "image": image}]))["spec"]["containers"]
    assert container["imagePullPolicy"] == policy


def test_a_field_can_take_its_default_from_a_sibling(filled: Any) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"ports": [{"port": 80}]}}
    spec = filled(service)["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert filled(pod(containers=[], serviceAccountName="bot"))["spec"]["serviceAccount"] == "bot"


def test_a_job_runs_once_unless_it_says_otherwise(filled: Any) -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": {"template": {"spec": {"containers": []}}}}
    assert {key: filled(job)["spec"][key] for key in ("completions", "parallelism", "backoffLimit")} == {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
    }
    job["spec"]["parallelism"] = 3
    assert "completions" not in filled(job)["spec"], "a work queue: how many complete is not said"


def test_a_policy_with_egress_rules_is_about_egress_too(filled: Any) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {},
        "spec": {"podSelector": {}},
    }
    assert filled(policy)["spec"]["policyTypes"] == ["Ingress"]
    policy["spec"]["egress"] = [{"ports": [{"port": 53}]}]
    assert filled(policy)["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert filled(policy)["spec"]["egress"][0]["ports"] == [{"port": 53, "protocol": "TCP"}]


def test_a_custom_default_counts_where_its_object_is_there(filled: Any) -> None:
    widget: Object = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    assert filled(widget) == widget
    widget["spec"] = {"size": 1, "parts": [{"name": "a"}]}
    assert filled(widget)["spec"] == {
        "size": 1,
        "color": "red",
        "parts": [{"name": "a", "side": "left", "weight": 1}],
    }


def test_defaults_of_two_objects_are_not_shared(schemas: Schemas, filled: Any) -> None:
    one, other = filled(pod(containers=[])), filled(pod(containers=[]))
    one["spec"]["securityContext"]["runAsUser"] = 1
    assert other["spec"]["securityContext"] == {}
