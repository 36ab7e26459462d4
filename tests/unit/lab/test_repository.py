"""The infrastructure repository that a lab starts with: playbooks in which each exposed password stands."""

import re

import pytest
import yaml

from lab.credentials import EXPOSED
from lab.seed.repository import tree

PASSWORDS = {name: f"Heron&Otter!{number}" for number, name in enumerate(EXPOSED, 1234)}


def test_each_exposed_password_stands_somewhere_and_no_placeholder_is_left() -> None:
    files = tree(PASSWORDS)
    text = "\n".join(files.values())
    assert "postgresql://appuser:Heron%26Otter%211234@postgresql" in text
    assert {name for name, password in PASSWORDS.items() if password in text} == EXPOSED.keys() - {"postgres_appuser"}
    assert re.findall(r"@[a-z_:]+@", text) == []


def test_its_files_are_yaml_whatever_the_passwords() -> None:
    for path, text in tree(PASSWORDS).items():
        if path.endswith(".yml"):
            assert yaml.safe_load(text), path


def test_a_password_that_the_lab_does_not_have_is_named() -> None:
    with pytest.raises(KeyError, match="grafana_admin"):
        tree({name: password for name, password in PASSWORDS.items() if name != "grafana_admin"})
