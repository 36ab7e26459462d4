"""Names, labels and keys."""

from typing import Any

import pytest

from lab.apiserver.names import name_errors


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more}}


@pytest.mark.parametrize(
    ("plural", "name", "good"),
    [
        ("pods", "web-0.example", True),
        ("pods", "Web", False),
        ("pods", "-web", False),
        ("pods", "web\n", False),
        ("pods", "a" * 253, True),
        ("pods", "a" * 254, False),
        ("namespaces", "shop", True),
        ("namespaces", "shop.one", False),
        ("namespaces", "a" * 64, False),
        ("services", "web-1", True),
        ("services", "1-web", False),
        ("clusterroles", "system:node", True),
        ("clusterroles", "a/b", False),
        ("clusterroles", "..", False),
    ],
)
def test_each_kind_has_its_rule_for_names(plural: str, name: str, good: bool) -> None:
    assert [field for field, _ in name_errors(plural, named(name))] == ([] if good else ["metadata.name"])


def test_a_bad_name_is_refused_in_the_servers_words() -> None:
    ((_, message),) = name_errors("pods", named("Web"))
    assert message.startswith('Invalid value: "Web": a lowercase RFC 1123 subdomain must consist of lower case')
    assert "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'" in message


@pytest.mark.parametrize(
    ("labels", "good"),
    [
        ({"app": "web"}, True),
        ({"example.com/app": ""}, True),
        ({"app": "a b"}, False),
        ({"a b": "c"}, False),
        ({"Example.com/app": "c"}, False),
        ({"/app": "c"}, False),
        ({"a" * 64: "c"}, False),
        ({"app": "a" * 64}, False),
    ],
)
def test_label_keys_and_values_have_a_syntax(labels: dict[str, str], good: bool) -> None:
    fields = [field for field, _ in name_errors("pods", named("x", labels=labels))]
    assert fields == ([] if good else ["metadata.labels"])


def test_annotation_values_are_free_and_their_keys_are_not() -> None:
    assert name_errors("pods", named("x", annotations={"a/b": "any thing\n"})) == []
    assert [field for field, _ in name_errors("pods", named("x", annotations={"a b": ""}))] == ["metadata.annotations"]


def test_keys_of_config_maps_and_secrets_become_file_names() -> None:
    obj = {**named("x"), "data": {"good.conf": "", "a/b": "", "..": ""}}
    assert [field for field, _ in name_errors("configmaps", obj)] == ["data[a/b]", "data[..]"]
    assert name_errors("widgets", obj) == []
