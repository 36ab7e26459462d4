"""The images: what can be said of them without building them. `make images` builds them where Docker is."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infra_ops.airflow.restricted_pod import USER
from infra_ops.airflow.tool_pod import IMAGE

PROJECT = Path(__file__).parents[3]
PACKAGE = PROJECT / "plugins" / "infra_ops"
DOCKERFILES = sorted(PROJECT.glob("docker/*/Dockerfile"))
MODULES = {
    "ansible-core": "ansible",
    "detect-secrets": "detect_secrets",
    "pyyaml": "yaml",
}  # where a distribution and its module differ in name
MAKE = shutil.which("make") or "make"
SED = shutil.which("sed") or "sed"
TEMPLATES = PROJECT / "include" / "manifests" / "infra-ops" / "pod-templates"

each = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.parent.name)


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions in order, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.read_text().splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def all_of(dockerfile: Path, word: str) -> list[str]:
    return [rest for instruction, rest in instructions(dockerfile) if instruction == word]


def test_there_are_two_images() -> None:
    assert [file.parent.name for file in DOCKERFILES] == ["airflow", "toolbox"]


@each
def test_the_base_is_pinned_to_a_full_version(dockerfile: Path) -> None:
    stages = {rest.partition(" AS ")[2] for rest in all_of(dockerfile, "FROM")} - {""}
    of_an_architecture = {stage.replace("arm64", "${TARGETARCH}") for stage in stages}
    for rest in all_of(dockerfile, "FROM"):
        base = rest.partition(" AS ")[0]
        if base in {"scratch", *of_an_architecture}:  # nothing, or one of the file's own stages
            continue
        assert re.search(r":\d+\.\d+\.\d+[-\w.]*(@sha256:[0-9a-f]{64})?$", base), base


@each
def test_the_image_runs_as_the_user_that_pods_ask_for(dockerfile: Path) -> None:
    """By number: `runAsNonRoot` refuses an image whose user is only a name."""
    assert all_of(dockerfile, "USER")[-1].partition(":")[0] == str(USER)


@each
def test_nothing_is_fetched_but_pinned_packages(dockerfile: Path) -> None:
    """And files whose bytes are known, for each architecture its own."""
    added = all_of(dockerfile, "ADD")
    for rest in added:
        assert re.match(r"--checksum=sha256:[0-9a-f]{64}\s+https://\S+/v\d+\.\d+\.\d+/\S+ /", rest), rest
    for rest in added:
        assert rest.count("arm64") + rest.count("amd64") == 1, rest
    assert len([rest for rest in added if "arm64" in rest]) == len([rest for rest in added if "amd64" in rest])
    for command in all_of(dockerfile, "RUN"):
        assert not re.search(r"https?://|\bcurl\b|\bwget\b", command)
        assert "pip install" not in command or "--constraint" in command


@each
def test_what_is_copied_exists_and_is_let_into_the_build(dockerfile: Path) -> None:
    """.dockerignore leaves out everything that it does not name."""
    let_in = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [part for rest in all_of(dockerfile, "COPY") for part in rest.split()[:-1] if not part.startswith("--")]
    mounts = [mount for rest in all_of(dockerfile, "RUN") for mount in re.findall(r"--mount=(\S+)", rest)]
    mounted = [re.findall(r"source=([^,\s]+)", mount)[0] for mount in mounts if "from=" not in mount]  # not of a stage
    assert copied
    for path in copied + mounted:
        assert (PROJECT / path).exists(), path
        assert any(Path(path).is_relative_to(allowed) for allowed in let_in), path


@each
def test_no_image_holds_an_inventory(dockerfile: Path) -> None:
    """A node that has pulled the image would go on with an old one."""
    copied = [part for rest in all_of(dockerfile, "COPY") for part in rest.split()[:-1] if not part.startswith("--")]
    for file in PROJECT.glob("include/*.yaml"):
        assert [path for path in copied if file.is_relative_to(PROJECT / path)] == []


def test_the_toolbox_holds_what_the_package_imports_outside_of_airflow() -> None:
    """And no more: each of its packages is imported somewhere."""
    lines = (PROJECT / "docker" / "toolbox" / "requirements.txt").read_text().splitlines()
    wanted = {MODULES.get(line, line) for line in lines if not line.startswith("#")}
    files = [file for file in PACKAGE.rglob("*.py") if file.relative_to(PACKAGE).parts[0] not in ("airflow", "web")]
    imported = {module for file in files for module in imports(file)}
    # Connections of Airflow are asked for in its workers only (clients/airflow.py), by what Airflow brings.
    third_party = imported - set(sys.stdlib_module_names) - {"infra_ops", "airflow", "structlog"}
    assert third_party - {"pydantic_core"} == wanted  # pydantic_core is a part of pydantic


def imports(file: Path) -> set[str]:
    """The top-level names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_every_package_of_the_toolbox_is_pinned() -> None:
    pins = {line.partition("==")[0] for line in (PROJECT / "constraints.txt").read_text().splitlines()}
    lines = (PROJECT / "docker" / "toolbox" / "requirements.txt").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} <= pins


def test_the_toolbox_needs_no_airflow() -> None:
    """The package's command line, in a Python that has no Airflow."""
    script = "import sys; sys.modules['airflow'] = None; from infra_ops.__main__ import main; main(['--help'])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT / "plugins")
    assert result.returncode == 0, result.stderr


def test_the_airflow_image_has_the_version_that_the_package_is_pinned_to() -> None:
    version = re.search(r"apache-airflow==([\d.]+)", (PROJECT / "pyproject.toml").read_text())
    assert version
    assert all_of(PROJECT / "docker" / "airflow" / "Dockerfile", "FROM") == [f"apache/airflow:{version[1]}-python3.12"]
    for template in TEMPLATES.glob("*.yaml"):
        container = yaml.safe_load(template.read_text())["spec"]["containers"][0]
        assert container["image"] == f"apache/airflow:{version[1]}", template


def make_images(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PATH": path} if path else {})}
    return subprocess.run([MAKE, "images", *arguments], capture_output=True, text=True, cwd=PROJECT, env=environment)


def test_images_for_a_registry_are_built_for_both_architectures_and_pushed() -> None:
    """The name that tool pods ask for is the one that is built."""
    commands = make_images("--dry-run", "REGISTRY=registry.example.org/me").stdout
    assert commands.count("docker buildx build --platform linux/arm64,linux/amd64 --push") == len(DOCKERFILES)
    assert f"--tag registry.example.org/me/{IMAGE} ." in commands
    for dockerfile in DOCKERFILES:
        assert f"--file {dockerfile.relative_to(PROJECT)} " in commands


def test_without_docker_make_images_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "sed").symlink_to(SED)  # it reads the version
    result = make_images(path=str(tmp_path))
    assert result.returncode != 0
    assert result.stderr.startswith("make images needs Docker with its buildx plugin, and its daemon running")
