"""docs/real-cluster.md as something that can be run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]
CHAPTER = PROJECT / "docs" / "real-cluster.md"


def block(words: str) -> str:
    """The one shell block of the chapter that holds these words."""
    blocks = re.findall(r"```sh\n(.*?)```", CHAPTER.read_text(), re.DOTALL)
    (found,) = [text for text in blocks if words in text]
    return str(found)


def run(script: str, folder: Path, **environment: str) -> str:
    """Run a block in `folder`, as somebody would who pastes it; its output. The environment's kubectl comes first."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def checkout(folder: Path) -> Path:
    """A copy of what the chapter's commands read and write."""
    for name in ("cluster.yaml", "roadmap.yaml", "checks.yaml", "kustomization.yaml", "manifests"):
        source, target = PROJECT / "include" / name, folder / "include" / name
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-r", source, target], check=True)
    return folder
