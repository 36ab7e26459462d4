"""include/roadmap.yaml holds every line of the roadmap, word for word, and names only what exists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from infra_ops.include import inventory
from infra_ops.models.documents import parse
from infra_ops.models.roadmap import Line, Measured, Roadmap

PROJECT = Path(__file__).resolve().parents[4]
FILE = PROJECT / "include" / "roadmap.yaml"
LINES = Path(__file__).with_name("roadmap.md")  # the lines alone, as the owner wrote them
ORIGINAL = PROJECT.parent / "shared" / "ROADMAP.md"  # the whole text, where it is at hand
OF_THE_REPOSITORY = {"K030", "K031", "K032", "K033", "K034"}
OF_A_CREDENTIAL = {"K010", "K011", "K012", "K013", "K020"}

LISTS: dict[str, tuple[Callable[[Roadmap], list[Line] | list[Measured]], int]] = {
    "Open": (Roadmap.open_lines, 144),
    "Completed Phases Summary": (Roadmap.completed_lines, 19),
    "Success Criteria": (Roadmap.criteria, 9),
    "Success Metrics": (Roadmap.success_metrics, 20),
}


@pytest.fixture(scope="module")
def roadmap() -> Roadmap:
    return parse(FILE.read_text(), Roadmap, "include/roadmap.yaml")


def written(text: str, heading: str) -> list[str]:
    """The lines of one of LISTS in a Markdown text; open boxes stand all over it."""
    if heading == "Open":
        return re.findall(r"^\s*- \[ \] (.*)$", text, re.MULTILINE)
    part = re.split(rf"^##+ {heading}$", text, flags=re.MULTILINE)[1]
    return re.findall(r"^- (?:✅ )?(.*)$", re.split(r"^(?:---|## )", part, flags=re.MULTILINE)[0], re.MULTILINE)


@pytest.mark.parametrize("heading", LISTS)
def test_every_line_stands_word_for_word_in_the_owners_order(roadmap: Roadmap, heading: str) -> None:
    """Both ways: none is missing, none is invented."""
    listed, count = LISTS[heading]
    assert [line.title for line in listed(roadmap)] == written(LINES.read_text(), heading)
    assert len(listed(roadmap)) == count


@pytest.mark.skipif(not ORIGINAL.exists(), reason="the owner's ROADMAP.md is not beside the project")
@pytest.mark.parametrize("heading", LISTS)
def test_the_lines_are_those_of_the_owners_text(heading: str) -> None:
    assert written(LINES.read_text(), heading) == written(ORIGINAL.read_text(), heading)


@pytest.mark.parametrize("heading", LISTS)
def test_a_word_more_would_be_noticed(roadmap: Roadmap, heading: str) -> None:
    """The comparison, seen red."""
    listed, _ = LISTS[heading]
    last = written(LINES.read_text(), heading)[-1]
    text = LINES.read_text().replace(last, f"{last} soon")
    assert [line.title for line in listed(roadmap)] != written(text, heading)


def test_every_check_of_the_roadmap_is_in_the_catalogue(roadmap: Roadmap) -> None:
    catalogue = yaml.safe_load((PROJECT / "include" / "checks.yaml").read_text())
    named = {check for line in everything(roadmap) for check in line.checks}
    assert named
    assert named <= set(catalogue)


def test_every_runbook_of_the_roadmap_is_a_dag_file(roadmap: Roadmap) -> None:
    files = {path.stem for path in (PROJECT / "dags").rglob("*.py")}
    lines = [*roadmap.open_lines(), *roadmap.completed_lines()]
    assert {line.runbook for line in lines if line.runbook} <= files


def test_a_check_of_credentials_says_of_which(roadmap: Roadmap) -> None:
    """Without, a box would be ticked by the first credential that passes."""
    rotated = set(inventory().rotated())
    for line in everything(roadmap):
        if OF_THE_REPOSITORY & set(line.checks):  # a proposal that passes ticks no box
            assert line.subjects == ["repository"], line.title
            continue
        assert bool(line.subjects) == bool(OF_A_CREDENTIAL & set(line.checks)), line.title
        assert set(line.subjects) <= rotated, line.title


def test_all_exposed_credentials_are_all_of_them(roadmap: Roadmap) -> None:
    (box,) = [line for line in roadmap.open_lines() if line.title == "**Rotate ALL exposed credentials**"]
    assert set(box.subjects) == set(inventory().rotated())
    assert sorted(box.subjects) == sorted(subject for line in box.lines for subject in line.subjects)
    assert all(line.checks == box.checks and line.runbook == box.runbook for line in box.lines)


def everything(roadmap: Roadmap) -> Iterator[Measured]:
    for listed, _ in LISTS.values():
        yield from listed(roadmap)
