"""The workflow for the owner's own CI runs what everybody runs, with as few rights as that takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[3]
TEXT = (PROJECT / ".github" / "workflows" / "ci.yml").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
ON = True  # to YAML 1.1 the key `on` is a boolean


def steps() -> Iterator[dict[str, Any]]:
    for job in WORKFLOW["jobs"].values():
        yield from job["steps"]


def test_it_runs_make_test_on_every_python_that_the_project_supports() -> None:
    job = WORKFLOW["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make test PYTHON=python"]
    found = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (PROJECT / "pyproject.toml").read_text())
    assert found
    low, high = found.groups()
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(int(low), int(high))]


def test_it_may_read_the_repository_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in WORKFLOW["jobs"].values())
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_actions_are_pinned_to_a_full_version_or_a_commit() -> None:
    for step in steps():
        if "uses" in step:
            assert re.search(r"@(v\d+\.\d+\.\d+|[0-9a-f]{40})$", step["uses"]), step["uses"]


def test_a_real_cluster_is_only_used_when_somebody_asks_for_it_by_hand() -> None:
    job = WORKFLOW["jobs"]["real-cluster"]
    assert job["if"] == "github.event_name == 'workflow_dispatch' && inputs.real_cluster"
    assert WORKFLOW[ON]["workflow_dispatch"]["inputs"]["real_cluster"]["default"] is False
    assert TEXT.count("secrets.") == 1
    assert job["steps"][-1]["if"] == "always()"


def test_nothing_that_others_write_is_put_into_a_script() -> None:
    """`${{ … }}` in a script is replaced before the shell reads it: a branch's name could be a command."""
    assert all("${{" not in step.get("run", "") for step in steps())
