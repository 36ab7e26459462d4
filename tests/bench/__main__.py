"""`make bench`: what DAG files cost at every parse, and what a rotation costs. Figures only; nothing passes or fails.

Each figure is taken three times on this machine, one after the other, and shown as median (smallest to largest).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab.end_to_end.airflow import Airflow
from tests.lab.end_to_end.conftest import Lab, running
from tests.lab.end_to_end.managed import managed

PROJECT = Path(__file__).parents[2]
TIMES = 3
EMPTY = """
from airflow.sdk import DAG, BaseOperator

with DAG("empty", schedule=None):
    BaseOperator(task_id="nothing")
"""


def spread(values: Sequence[float], unit: str) -> str:
    return f"{statistics.median(values):.2f} {unit} ({min(values):.2f} to {max(values):.2f})"


def parse_seconds(empty: Path, file: Path) -> tuple[float, float]:
    """CPU seconds that an empty DAG and then `file` take, in one fresh process that has Airflow in memory, as the DAG
    processor has.
    """
    code = (
        "import sys, time; import airflow.sdk; from airflow.models.dagbag import DagBag\n"
        "def took(file):\n"
        "    began = time.process_time(); bag = DagBag(file, include_examples=False)\n"
        "    assert bag.dags and not bag.import_errors, bag.import_errors\n"
        "    return time.process_time() - began\n"
        "took(sys.argv[1]); print(took(sys.argv[1]), took(sys.argv[2]))"
    )
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "AIRFLOW_HOME": home,
            "PYTHONPATH": f"{PROJECT / 'plugins'}",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        output = subprocess.run(
            [sys.executable, "-c", code, str(empty), str(file)],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    bare, full = output.splitlines()[-1].split()
    return float(bare), float(full)


def show_parsing() -> None:
    """Airflow's own lazy imports are paid before either is measured, so what differs is the file's."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty.py")
        empty.write_text(EMPTY)
        for file in sorted((PROJECT / "dags").rglob("*.py")):
            pairs = [parse_seconds(empty, file) for _ in range(TIMES)]
            beyond = [1000 * (full - bare) for bare, full in pairs]
            name = str(file.relative_to(PROJECT))
            whole = spread([1000 * full for _, full in pairs], "ms")
            print(
                f"{name:<45} {spread(beyond, 'ms')} beyond an empty DAG, {whole} in all",
                flush=True,
            )


def show_rotations() -> None:
    """Three rotations of all credentials, one after the other in one lab."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder, "lab")) as lab:
        airflow = Airflow(lab.state)
        seconds, tasks, pods, effects = zip(*(_rotation(lab, airflow) for _ in range(TIMES)), strict=True)
    print(f"wall time of a rotation of all seven credentials: {spread(seconds, 's')}")
    print(f"tasks that ran: {sorted(set(tasks))}; effects: {sorted(set(effects))}")
    print(f"pods started (by the restarts; a rotation itself needs none): {sorted(set(pods))}")


def _rotation(lab: Lab, airflow: Airflow) -> tuple[float, int, int, int]:
    with managed(lab.root, lab.state) as credentials:

        def pods() -> set[str]:
            return {pod["metadata"]["uid"] for pod in credentials.cluster.list("/api/v1/pods")}

        before = seen = pods()

        def look() -> None:
            nonlocal seen
            seen = seen | pods()

        began = time.monotonic()
        run = airflow.trigger(mode="apply", force=True)
        state = airflow.wait(run, meanwhile=look)
        took = time.monotonic() - began
        assert state == "success", f"{run}: {airflow.tasks(run)}"
        ran = [state for state in airflow.tasks(run).values() if state == "success"]
        return took, len(ran), len(seen - before), len(credentials.journal(run))


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} at the start", flush=True)
    show_parsing()
    show_rotations()
    print(f"load average {os.getloadavg()[0]:.1f} at the end")
