"""include/cluster.yaml is valid, and whatever breaks in it is named in one sentence."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from infra_ops.models.documents import DocumentError, parse
from infra_ops.models.inventory import Inventory

TEXT = (Path(__file__).resolve().parents[4] / "include" / "cluster.yaml").read_text()
# With every field that the file leaves to its default.
TREE = parse(TEXT, Inventory, "include/cluster.yaml").model_dump(mode="json")
RUBBISH = [None, -1, 3.5, True, "", "NO SUCH NAME !", "{username.foo}", [], ["x", 7], {}, {"surprise": 1}]
# Where one of these is what somebody may mean. Everything else is refused; `*` is any step.
MEANT: list[tuple[str, list[Any]]] = [
    ("credentials.*.title", ["NO SUCH NAME !", "{username.foo}"]),  # free text
    ("credentials.*.target", [None]),  # a login that is only used
    ("credentials.*.consumers", [[]]),
    ("credentials.*.connections", [[]]),
    ("namespaces.*.sensitive", [True]),
    ("credentials.*.consumers.*.keeps_session", [True]),
    ("credentials.*.consumers.*.restart", [True]),
    ("off_cluster", [None]),  # refused by the runbooks that keep copies there
    ("repository", [None]),  # refused by the runbooks that work on it
    ("unattended", [[]]),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document below its root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from places(child, (*path, key))


PLACES = list(places(TREE))


def parsed(tree: Any) -> Inventory:
    return parse(yaml.safe_dump(tree, sort_keys=False), Inventory, "cluster.yaml")


def changed(path: tuple[Any, ...], value: Any) -> Any:
    tree = copy.deepcopy(TREE)
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return tree


def meant(place: tuple[Any, ...]) -> list[Any]:
    """The values of RUBBISH that may stand at a place."""
    return [value for pattern, values in MEANT if fnmatch(".".join(map(str, place)), pattern) for value in values]


def assert_one_clear_sentence(error: DocumentError) -> None:
    text = str(error)
    assert text.startswith("cluster.yaml, line ")
    assert text.endswith(".")
    assert "\n" not in text
    assert "pydantic" not in text
    assert len(text) < 500


def test_the_inventory_of_the_project_is_valid() -> None:
    inventory = parse(TEXT, Inventory, "include/cluster.yaml")
    assert set(inventory.rotated()) >= {"postgres_appuser", "flower_celery", "flower_financial_screener"}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_every_place_takes_what_can_be_meant_there_and_nothing_else(place: tuple[Any, ...]) -> None:
    taken = [value for value in RUBBISH if is_valid(changed(place, value))]
    assert taken == [value for value in RUBBISH if any(same(value, each) for each in meant(place))]


def is_valid(tree: Any) -> bool:
    try:
        Inventory.model_validate(tree)
    except ValidationError:
        return False
    return True


def same(one: Any, other: Any) -> bool:
    """Equal and of one type: True is no 1 here."""
    return type(one) is type(other) and one == other


@settings(max_examples=200, deadline=None)
@given(place=st.sampled_from(PLACES), rubbish=st.sampled_from(RUBBISH))
def test_whatever_is_broken_gives_one_clear_sentence(place: tuple[Any, ...], rubbish: Any) -> None:
    assume(not any(same(rubbish, each) for each in meant(place)))
    with pytest.raises(DocumentError) as caught:
        parsed(changed(place, rubbish))
    assert_one_clear_sentence(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (
            ("credentials", "postgres_appuser", "target", "admin"),
            "root",
            "names 'root', which is none of: postgres_admin",
        ),
        (
            ("credentials", "postgres_appuser", "target", "users"),
            ["app_owner", "x"],
            "owner and the two users must be three different roles",
        ),
        (
            ("credentials", "flower_celery", "consumers", 0, "secret", "namespace"),
            "nowhere",
            "has a consumer in namespace 'nowhere', which namespaces does not list",
        ),
        (
            ("credentials", "flower_celery", "consumers", 0, "secret", "fields"),
            {"a": "{user}"},
            "fields.a may hold {username}, {password} and {password_url} and no other braces",
        ),
        (
            ("credentials", "flower_celery", "consumers", 0, "secret", "fields"),
            {"a": "{username}"},
            "no field takes {password}, so this is no copy of the credential",
        ),
        (
            ("credentials", "flower_celery", "consumers", 0, "secret", "fields"),
            {"a": "{password!r}"},
            "fields.a may hold {username}, {password} and {password_url} and no other braces",
        ),
        (
            ("credentials", "flower_celery", "consumers", 0, "secret", "fields"),
            {"a": "{{password}}"},
            "fields.a takes nothing of the login; leave it out",
        ),
        (
            ("credentials", "flower_celery", "target", "namespace"),
            "nowhere",
            "credentials.flower_celery has its Flower in namespace 'nowhere', which namespaces does not list",
        ),
        (
            ("credentials", "postgres_appuser", "target", "admin"),
            "postgres_appuser",
            "target.admin names 'postgres_appuser', which rotates itself; name one without a target",
        ),
        (
            ("airflow", "login"),
            "airflow_admin",
            "airflow.login names 'airflow_admin', which rotates itself; name one without a target",
        ),
        (("airflow",), None, "needs this Airflow's API, but there is no section airflow"),
        (("nodes", 0, "address"), "999.1.1.1", "found '999.1.1.1'; allowed are an IP address and a host name"),
        (("nodes", 0, "address"), "rpi_1", "found 'rpi_1'; allowed are an IP address and a host name"),
        (("credentials", "pihole_admin", "target", "url"), "http://me:word@pi", "a URL here holds no login"),
        (("credentials", "pihole_admin", "target", "url"), "http://pi:99999", "allowed are scheme, host and port"),
        (("credentials", "pihole_admin", "target", "url"), "http://!", "allowed are an IP address and a host name"),
        (("nodes", 1, "name"), "rpi-1", "two nodes have the same name"),
    ],
)
def test_what_the_schema_cannot_say_is_said_too(place: tuple[Any, ...], value: Any, sentence: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parsed(changed(place, value))
    assert sentence in str(caught.value)
    assert_one_clear_sentence(caught.value)


@pytest.mark.parametrize("address", ["192.168.1.21", "fd00::15", "rpi-1", "rpi-1.lan", "RPI.example.org"])
def test_a_node_is_reached_by_an_address_or_a_name(address: str) -> None:
    assert is_valid(changed(("nodes", 0, "address"), address))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "https://[fd00::15]:5001", "http://grafana.monitoring.svc"])
def test_a_service_is_reached_by_scheme_host_and_port(url: str) -> None:
    assert is_valid(changed(("credentials", "grafana_admin", "target", "url"), url))
