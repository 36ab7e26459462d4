"""include/roadmap.yaml holds every line of the roadmap, word for word, and names only what exists."""

import re
from pathlib import Path

import pytest
import yaml

from infra_ops.models.documents import parse
from infra_ops.models.roadmap import Measured, Roadmap

PROJECT = Path(__file__).resolve().parents[4]
FILE = PROJECT / "include" / "roadmap.yaml"
ORIGINAL = PROJECT.parent / "shared" / "ROADMAP.md"


@pytest.fixture(scope="module")
def roadmap() -> Roadmap:
    return parse(FILE.read_text(), Roadmap, "include/roadmap.yaml")


@pytest.fixture(scope="module")
def original() -> str:
    if not ORIGINAL.exists():
        pytest.skip("the user's ROADMAP.md is not beside the project")
    return ORIGINAL.read_text()


def test_no_line_is_missing(roadmap: Roadmap) -> None:
    assert len(roadmap.open_lines()) == 144
    assert len(roadmap.completed_lines()) == 19
    assert len(roadmap.criteria()) == 9
    assert len(roadmap.success_metrics()) == 20


def test_the_open_boxes_stand_word_for_word_in_the_users_order(roadmap: Roadmap, original: str) -> None:
    boxes = re.findall(r"^\s*- \[ \] (.*)$", original, re.MULTILINE)
    assert [line.title for line in roadmap.open_lines()] == boxes


@pytest.mark.parametrize(
    ("heading", "row", "lines"),
    [
        ("## Completed Phases Summary", r"^- (.*)$", Roadmap.completed_lines),
        ("### Success Criteria", r"^- ✅ (.*)$", Roadmap.criteria),
        ("## Success Metrics", r"^- ✅ (.*)$", Roadmap.success_metrics),
    ],
)
def test_the_other_lists_stand_word_for_word(
    roadmap: Roadmap, original: str, heading: str, row: str, lines: object
) -> None:
    part = original.split(f"\n{heading}\n", 1)[1].split("\n---", 1)[0]
    assert callable(lines)
    assert [line.title for line in lines(roadmap)] == re.findall(row, part, re.MULTILINE)


def test_every_check_of_the_roadmap_is_in_the_catalogue(roadmap: Roadmap) -> None:
    catalogue = yaml.safe_load((PROJECT / "include" / "checks.yaml").read_text())
    named = {check for line in _all(roadmap) for check in line.checks}
    assert named <= set(catalogue)


def test_every_runbook_of_the_roadmap_is_a_dag_file(roadmap: Roadmap) -> None:
    files = {path.stem for path in (PROJECT / "dags").rglob("*.py")}
    lines = [*roadmap.open_lines(), *roadmap.completed_lines()]
    assert {line.runbook for line in lines if line.runbook} <= files


def _all(roadmap: Roadmap) -> list[Measured]:
    return [*roadmap.open_lines(), *roadmap.completed_lines(), *roadmap.criteria(), *roadmap.success_metrics()]
