"""Every DAG can be read, cheaply, without touching anything, and says the same each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
from airflow.models.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import SerializedDAG

# psycopg2 is not among them: Airflow itself imports it for every DAG.
HEAVY = {"ansible", "asyncssh", "flask_appbuilder", "hvac", "kubernetes", "kubernetes_asyncio", "paramiko", "requests"}
EMPTY_DAG = "from airflow.sdk import DAG, BaseOperator\nwith DAG('empty'):\n    BaseOperator(task_id='t')\n"
# Reads a DAG file as the DAG processor does, with every socket refused, and tells what was imported.
READER = """
import runpy, socket, sys
def refuse(*arguments, **options):
    raise RuntimeError("a DAG file opened a socket while it was read")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
runpy.run_path(sys.argv[1])
print(*{name.split(".")[0] for name in sys.modules})
"""


def imported_by(file: Path) -> set[str]:
    result = subprocess.run([sys.executable, "-c", READER, file], capture_output=True, text=True, env=dict(os.environ))
    assert result.returncode == 0, result.stderr
    return set(result.stdout.splitlines()[-1].split())


def test_every_dag_can_be_imported_and_has_no_cycle(dagbag: DagBag) -> None:
    assert dagbag.import_errors == {}
    assert dagbag.dags


def test_every_file_holds_the_dag_of_its_name(dagbag: DagBag, dag_files: list[Path]) -> None:
    assert {file.stem: str(file) for file in dag_files} == {dag.dag_id: dag.fileloc for dag in dagbag.dags.values()}


def test_reading_a_dag_file_imports_nothing_heavy_and_opens_no_socket(dag_files: list[Path], tmp_path: Path) -> None:
    """3.0.2 pays for every import in every file, every time it reads it: the pod operator alone is 2.7 s."""
    empty = tmp_path / "empty.py"
    empty.write_text(EMPTY_DAG)
    airflow_itself = imported_by(empty)
    for file in dag_files:
        assert HEAVY & (imported_by(file) - airflow_itself) == set(), file


def test_a_heavy_import_would_be_noticed(tmp_path: Path) -> None:
    """The guard above, seen red."""
    bad = tmp_path / "bad.py"
    bad.write_text(f"{EMPTY_DAG}import paramiko\n")
    assert "paramiko" in HEAVY & imported_by(bad)


def test_a_connection_would_be_noticed(tmp_path: Path) -> None:
    """The guard above, seen red."""
    bad = tmp_path / "bad.py"
    bad.write_text(f"{EMPTY_DAG}import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')\n")
    with pytest.raises(AssertionError, match="opened a socket while it was read"):
        imported_by(bad)


def test_every_dag_serialises_to_the_same_text_each_time(dagbag: DagBag) -> None:
    """Whatever differs from one reading to the next makes a new version of the DAG every few minutes."""
    again = DagBag(dag_folder=dagbag.dag_folder, include_examples=False)
    for dag_id, dag in dagbag.dags.items():
        assert serialized(dag) == serialized(again.dags[dag_id])


def serialized(dag: DAG) -> str:
    return json.dumps(SerializedDAG.to_dict(dag), sort_keys=True)


def test_every_template_can_be_parsed(dagbag: DagBag) -> None:
    """Airflow itself would find a missing brace only when the task runs."""
    environment = jinja2.Environment()
    for dag in dagbag.dags.values():
        for task in dag.tasks:
            for field in task.template_fields:
                for text in texts(getattr(task, field)):
                    environment.parse(text)


def texts(value: object) -> list[str]:
    """The strings in a templated field, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in value.values() for text in texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in texts(part)]
    return []
