"""docs/real-cluster.md names what exists. tests/lab/manifests runs those of its commands that can be run here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from infra_ops.include import inventory

PROJECT = Path(__file__).parents[3]
TEXT = (PROJECT / "docs" / "real-cluster.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("script", BLOCKS, ids=lambda script: script.split("\n")[0])
def test_every_block_is_shell(script: str) -> None:
    result = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_every_file_that_it_names_exists() -> None:
    named = set(re.findall(r"\b(?:include|docs|tests|plugins|docker)/[\w./-]*\w", TEXT))
    assert named
    assert [path for path in named if not (PROJECT / path).exists()] == []


def test_it_adopts_every_credential_of_the_inventory() -> None:
    adopted = re.findall(r"python -m infra_ops adopt (\w+)", "".join(BLOCKS))
    assert sorted(adopted) == sorted(inventory().credentials)
