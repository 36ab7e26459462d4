"""Small readings of texts: quantities, image names, variables, times."""

from decimal import Decimal
from pathlib import Path

import pytest

from lab import times
from lab.kubelet import images, quantities
from lab.kubelet.environment import argv_of, expand
from lab.kubelet.images import Image, Images


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", "2"), ("100m", "0.1"), ("1.5", "1.5"), ("8Gi", 8 * 2**30), ("1k", 1000), ("1e3", 1000), ("1E", 10**18)],
)
def test_quantities(text: str, value: str | int) -> None:
    assert quantities.parse(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "Gi", "1Q", "one", "1 Gi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no resource quantity"):
        quantities.parse(text)


@pytest.mark.parametrize(
    "reference",
    [
        "alpine",
        "alpine:3.20",
        "docker.io/library/alpine",
        "library/alpine:3",
        "alpine@sha256:0123",
        "docker.io/alpine:3",
    ],
)
def test_tags_digests_and_docker_hubs_prefixes_do_not_matter(reference: str) -> None:
    assert images.repository(reference) == "alpine"


def test_a_port_of_a_registry_is_no_tag() -> None:
    assert images.repository("registry.local:5000/team/app") == "registry.local:5000/team/app"
    assert images.canonical("registry.local:5000/team/app") == "registry.local:5000/team/app:latest"
    assert images.canonical("team/app:2") == "docker.io/team/app:2"
    assert images.canonical("app") == "docker.io/library/app:latest"


def test_the_images_file_names_commands_in_the_labs_own_places(tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text('a/b: pause\nc: {run: [x, "{venv}/y"], environment: {P: "{path}"}}\n')
    found = Images.load(file, {"venv": "/v", "path": "/p"})
    assert found.find("a/b:1").held
    assert found.find("c:9").run == ("x", "/v/y")
    assert found.find("c").environment == {"P": "/p"}
    assert found.find("d") is None


def test_a_wrong_entry_of_the_images_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text("a/b: {command: [x]}\n")
    with pytest.raises(
        ValueError, match="images.yaml: image 'a/b' must be `pause`, or have lists `run` and `arguments`"
    ):
        Images.load(file, {})


def test_the_labs_own_images_file_is_sound() -> None:
    known = Images.load(Path("lab/images.yaml"), {"venv": "/v", "project": "/p", "path": "/bin"})
    for name in ("infra-ops/toolbox:0.1.0", "apache/airflow:3.0.2", "alpine", "busybox"):
        assert known.find(name).run or known.find(name).arguments
    assert known.find("rancher/mirrored-pause:3.6").held


@pytest.mark.parametrize(
    ("container", "argv"),
    [
        ({}, ["run", "default"]),
        ({"args": ["own"]}, ["run", "own"]),
        ({"command": ["other"]}, ["other"]),
        ({"command": ["other"], "args": ["own", "$(A)"]}, ["other", "own", "1"]),
    ],
)
def test_command_and_args_replace_what_the_image_says(container: dict[str, list[str]], argv: list[str]) -> None:
    """The table of https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/."""
    assert argv_of(container, Image(run=("run",), arguments=("default",)), {"A": "1"}) == argv


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)-$(B)", "1-$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $ (A)", "$A $ (A)"),
        ("$(A", "$(A"),
    ],
)
def test_variables_expand_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no RFC 3339 time"):
        times.parse("2025-01-01T00:00:00")
