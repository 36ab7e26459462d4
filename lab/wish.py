"""What the user wants of a lab."""

from dataclasses import dataclass
from pathlib import Path

from lab.services.airflow_settings import Executor


@dataclass(frozen=True)
class Wish:
    """The options of `python -m lab up`. Paths are absolute."""

    root: Path
    celery: bool = False
    executor: Executor = "local"
    airflow: bool = True
    kubeconfig: Path | None = None
    disposable: bool = False
