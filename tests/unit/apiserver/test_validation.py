"""Validation against schemas, of built-in and custom kinds alike."""

import copy
from typing import Any

import pytest

from lab.apiserver.schemas import Schema, Schemas
from lab.apiserver.validation import check, prune

Object = dict[str, Any]


def test_a_good_object_passes(schemas: Schemas, deployment: Schema, web: Object) -> None:
    findings = check(schemas, deployment, web)
    assert (findings.unknown, findings.errors) == ([], [])


def test_unknown_fields_are_named_by_their_full_path(schemas: Schemas, deployment: Schema, web: Object) -> None:
    web["spec"]["template"]["spec"]["containers"][0]["imag"] = "typo"
    web["metadata"]["label"] = {}
    assert check(schemas, deployment, web).unknown == ["metadata.label", "spec.template.spec.containers[0].imag"]


def test_unknown_fields_can_be_dropped_and_nothing_else(schemas: Schemas, deployment: Schema, web: Object) -> None:
    good = copy.deepcopy(web)
    web["spec"]["template"]["spec"]["containers"][0]["imag"] = "typo"
    web["spec"]["a.b[0]"] = {"c": 1}
    prune(web, check(schemas, deployment, web).unknown)
    assert web == good


def test_dropping_finds_its_way_through_keys_with_dots(schemas: Schemas, widget: Schema) -> None:
    schema: Schema = {
        "type": "object",
        "properties": {"m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {}}}}},
    }
    obj = {"m": {"a": {"x": 1}, "a.b": {"x": 1, "y": 2}}}
    unknown = check(schemas, schema, obj).unknown
    assert unknown == ["m.a.b.y"]
    prune(obj, unknown)
    assert obj == {"m": {"a": {"x": 1}, "a.b": {"x": 1}}}


def test_a_missing_required_field_is_named(schemas: Schemas, deployment: Schema, web: Object) -> None:
    del web["spec"]["selector"]
    web["spec"]["template"]["spec"]["containers"][0]["name"] = None
    assert check(schemas, deployment, web).errors == [
        ("spec.selector", "Required value"),
        ("spec.template.spec.containers[0].name", "Required value"),
    ]


def test_a_wrong_type_says_what_was_found_and_what_is_wanted(schemas: Schemas, deployment: Schema, web: Object) -> None:
    web["spec"]["replicas"] = "two"
    web["spec"]["paused"] = 1
    assert check(schemas, deployment, web).errors == [
        ("spec.replicas", 'Invalid value: "string": spec.replicas in body must be of type integer: "string"'),
        ("spec.paused", 'Invalid value: "integer": spec.paused in body must be of type boolean: "integer"'),
    ]


@pytest.mark.parametrize(("surge", "cpu"), [(25, 2), ("25%", "250m")])
def test_a_number_or_text_may_be_either(
    schemas: Schemas, deployment: Schema, web: Object, surge: int | str, cpu: int | str
) -> None:
    web["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge}}
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": cpu}}
    assert check(schemas, deployment, web).errors == []


def test_a_built_in_choice_and_bound_are_kept(schemas: Schemas, deployment: Schema, web: Object) -> None:
    """They are not in the OpenAPI document; data/constraints.yaml adds them."""
    web["spec"]["template"]["spec"]["restartPolicy"] = "Sometimes"
    web["spec"]["replicas"] = -1
    assert check(schemas, deployment, web).errors == [
        ("spec.replicas", "Invalid value: -1: spec.replicas in body should be greater than or equal to 0"),
        (
            "spec.template.spec.restartPolicy",
            'Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        ),
    ]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("size", 0, "Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ("size", 11, "Invalid value: 11: spec.size in body should be less than or equal to 10"),
        ("size", 1.5, 'Invalid value: "number": spec.size in body must be of type integer: "number"'),
        ("size", True, 'Invalid value: "boolean": spec.size in body must be of type integer: "boolean"'),
        ("ratio", 0, "Invalid value: 0: spec.ratio in body should be greater than 0"),
        ("color", "blue", 'Unsupported value: "blue": supported values: "red", "green"'),
        ("code", "AB", "Invalid value: \"AB\": spec.code in body should match '^[a-z]+$'"),
        ("code", "ab\n", "Invalid value: \"ab\\n\": spec.code in body should match '^[a-z]+$'"),
        ("code", "a", 'Invalid value: "a": spec.code in body should be at least 2 chars long'),
        ("code", "abcde", "Too long: may not be more than 4 bytes"),
        ("tags", ["a", "b", "c"], "Too many: 3: must have at most 2 items"),
        ("labels", {"a": "", "b": "", "c": ""}, "Too many: 3: must have at most 2 properties"),
        ("port", True, 'Invalid value: "boolean": spec.port in body must be of type integer or string: "boolean"'),
    ],
)
def test_a_custom_kind_keeps_its_bounds(
    schemas: Schemas, widget: Schema, field: str, value: Any, complaint: str
) -> None:
    obj = {"spec": {"size": 1, field: value}}
    assert check(schemas, widget, obj).errors == [(f"spec.{field}", complaint)]


@pytest.mark.parametrize(
    ("field", "value"), [("size", 10), ("size", 2.0), ("ratio", 0.1), ("code", "ab"), ("port", "x")]
)
def test_what_lies_within_the_bounds_passes(schemas: Schemas, widget: Schema, field: str, value: Any) -> None:
    assert check(schemas, widget, {"spec": {"size": 1, field: value}}).errors == []


def test_preserved_unknown_fields_are_no_finding(schemas: Schemas, widget: Schema) -> None:
    obj = {"spec": {"size": 1, "free": {"anything": {"goes": 1}}, "other": 1}}
    assert check(schemas, widget, obj).unknown == ["spec.other"]


def test_an_embedded_resource_must_say_what_it_is(schemas: Schemas, widget: Schema) -> None:
    """x-kubernetes-embedded-resource: apiVersion, kind and a checked metadata."""
    bare = {"spec": {"size": 1, "template": {"data": {}, "metadata": {"lables": {}}}}}
    findings = check(schemas, widget, bare)
    assert findings.errors == [
        ("spec.template.apiVersion", "Required value"),
        ("spec.template.kind", "Required value"),
    ]
    assert findings.unknown == ["spec.template.metadata.lables"]


def test_a_definition_of_a_custom_kind_may_hold_any_default(schemas: Schemas) -> None:
    """JSONSchemaProps is recursive and has fields of type JSON, which may be anything."""
    definition = schemas.find("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    node = {
        "type": "object",
        "default": {"a": [1]},
        "properties": {"x": {"items": {"type": "string"}, "enum": ["a", 1]}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": node}}
    spec = {"group": "e.com", "scope": "Cluster", "names": {"plural": "w", "kind": "W"}, "versions": [version]}
    findings = check(schemas, definition, {"spec": spec})
    assert (findings.unknown, findings.errors) == ([], [])
