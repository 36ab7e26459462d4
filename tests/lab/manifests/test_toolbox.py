"""The name of the toolbox image that step 2 of the chapter writes where pods ask for it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.lab.manifests.chapter import PROJECT, block, checkout, run

FOLDER = Path("include/manifests/infra-ops")


def written(folder: Path) -> dict[str, str]:
    """What each of the two files says, but for the version."""
    return {
        "worker.env": re.findall(r"^INFRA_OPS_TOOLBOX_IMAGE=(.*):", (folder / FOLDER / "worker.env").read_text(), re.M)[
            0
        ],
        "console.yaml": re.findall(r"image: (.*):", (folder / FOLDER / "console.yaml").read_text())[0],
    }


def test_the_registry_is_written_once_however_often_it_is_said(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    files = sorted((folder / FOLDER).iterdir())
    for registry in ("registry.example.org/me", "registry.example.org/me", "other.example.org:5000/a/b"):
        run(block("INFRA_OPS_TOOLBOX_IMAGE"), folder, REGISTRY=registry)
        assert set(written(folder).values()) == {f"{registry}/infra-ops/toolbox"}
    assert sorted((folder / FOLDER).iterdir()) == files


def test_nothing_else_changes(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    run(block("INFRA_OPS_TOOLBOX_IMAGE"), folder, REGISTRY="registry.example.org/me")
    for name in ("worker.env", "console.yaml"):
        before = (PROJECT / FOLDER / name).read_text()
        assert (folder / FOLDER / name).read_text().replace("registry.example.org/me/", "") == before
