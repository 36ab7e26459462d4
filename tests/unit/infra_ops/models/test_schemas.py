"""Editors check the files under include/ by schemas that say what the models say."""

from pathlib import Path

import pytest

from infra_ops.models.catalogue import Catalogue
from infra_ops.models.documents import DocumentError, parse
from infra_ops.models.schemas import FILES, schemas

INCLUDE = Path(__file__).resolve().parents[4] / "include"


@pytest.mark.parametrize("name", schemas())
def test_the_schemas_are_those_of_the_models(name: str) -> None:
    """After a change of a model: `.venv/bin/python -m infra_ops schemas include/schemas`."""
    assert (INCLUDE / "schemas" / name).read_text() == schemas()[name]


@pytest.mark.parametrize("name", FILES)
def test_every_file_names_its_schema(name: str) -> None:
    assert (
        (INCLUDE / f"{name}.yaml")
        .read_text()
        .startswith(f"# yaml-language-server: $schema=schemas/{name}.schema.json\n")
    )


def test_the_catalogue_of_checks_is_valid() -> None:
    catalogue = parse((INCLUDE / "checks.yaml").read_text(), Catalogue, "include/checks.yaml")
    assert "K001" in catalogue.root


def test_a_check_without_a_way_to_mend_it_is_refused() -> None:
    with pytest.raises(DocumentError, match="K001: mend is missing"):
        parse("K001: {title: a, why: b, how: c}", Catalogue, "checks.yaml")
