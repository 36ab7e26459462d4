"""DAG files are wiring: of the package they know only infra_ops.airflow."""

import ast
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "dags").rglob("*.py"))


def modules(tree: ast.AST) -> set[str]:
    """Everything that the code imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dag_file_imports_only_airflow_and_the_packages_airflow_side(file: Path) -> None:
    allowed = ("__future__", "airflow.sdk", "datetime", "infra_ops.airflow")
    strange = {name for name in modules(ast.parse(file.read_text())) if not name.startswith(allowed)}
    assert not strange, f"{file.name} imports {strange}: put that behind something in infra_ops.airflow"
