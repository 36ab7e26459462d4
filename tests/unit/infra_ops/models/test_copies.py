"""A value is known by its bytes, whatever it is wrapped in and whatever stands around it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra_ops.models.copies import SHORTEST, Place, pattern

VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=SHORTEST, max_size=40)
AROUND = st.binary(max_size=9)


@given(value=VALUES, before=AROUND, after=AROUND)
def test_it_is_found_plain_and_in_base64_with_any_neighbours(value: str, before: bytes, after: bytes) -> None:
    content = before + value.encode() + after
    assert pattern(value).search(content)
    assert pattern(value).search(base64.b64encode(content))


@given(value=VALUES)
def test_it_is_found_in_urls_and_json(value: str) -> None:
    found = pattern(value)
    assert found.search(f"postgresql://user:{quote(value, safe='')}@host/db".encode())
    assert found.search(json.dumps({"password": value}).encode())
    assert found.search(json.dumps({"inner": json.dumps({"password": value})}).encode()) or "\\" in json.dumps(value)


@pytest.mark.parametrize(
    ("wrapped", "found"),
    [
        ("x:Walnut%26Pepper%211234@y", True),
        ("x:Walnut%26Pepper!1234@y", True),  # as browsers write it
        ("x:Walnut&Pepper%211234@y", True),  # as Go does in a user's name
        ('{"p": "Walnut\\u0026Pepper!1234"}', True),
        ("V2FsbnV0JlBlcHBlciExMjM0", True),
        ("x:Walnut%26pepper%211234@y", False),
    ],
    ids=["URL", "browser", "Go", "JSON as Go writes it", "base64", "another value"],
)
def test_an_invented_password_is_known_by_its_forms(wrapped: str, found: bool) -> None:
    assert bool(pattern("Walnut&Pepper!1234").search(wrapped.encode())) == found


@pytest.mark.parametrize(
    ("content", "found"),
    [("pi", True), ("admin:pi@host", True), ('{"password": "pi"}', True), ("pirate", False), ("api", False)],
)
def test_a_short_value_counts_only_where_it_stands_alone(content: str, found: bool) -> None:
    """Otherwise it would be found in every second Secret by chance."""
    assert bool(pattern("pi").search(content.encode())) == found


def test_a_place_is_told_in_few_words() -> None:
    assert str(Place("Secret", "celery", "database", "URL")) == "Secret celery/database, URL"
    assert str(Place("connection of Airflow", "", "screener_db")) == "connection of Airflow screener_db"
