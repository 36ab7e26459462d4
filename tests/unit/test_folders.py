"""How the tests themselves are laid out."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_folder_of_tests_is_a_package() -> None:
    """Otherwise pytest lets what is shared by a package, such as a whole lab, run on until the end of all tests."""
    folders = {file.parent for file in TESTS.rglob("*.py")}
    assert len(folders) > 20
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
