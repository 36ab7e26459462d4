"""Airflow's REST API as its administrator uses it, for tests that run beside what they watch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

DAG = "rotate_credentials"
RUNS = f"/dags/{DAG}/dagRuns"


class Airflow:
    """One login; `run` is always a run id of one DAG."""

    def __init__(self, state: dict[str, Any], dag: str = DAG) -> None:
        self._dag = f"/dags/{dag}"
        self._runs = f"{self._dag}/dagRuns"
        self._url = state["addresses"]["airflow"]
        # Not as the administrator, whose password is rotated.
        login = {"username": "service", "password": Path(state["credentials"]["airflow_service"]).read_text()}
        answer = requests.post(f"{self._url}/auth/token", json=login, timeout=60)
        answer.raise_for_status()
        self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of /api/v2, None when it has no body."""
        answer = requests.request(method, f"{self._url}/api/v2{path}", json=body, headers=self._headers, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None

    def trigger(self, **conf: Any) -> str:
        """Starts a run and returns its id. A DAG that is paused, as a new one is, would let it wait for ever."""
        self.call("PATCH", f"{self._dag}?update_mask=is_paused", {"is_paused": False})
        run = self.call("POST", self._runs, {"conf": conf, "logical_date": None})
        return str(run["dag_run_id"])

    def tasks(self, run: str) -> dict[str, str | None]:
        """The state of each task."""
        return {task["task_id"]: task["state"] for task in self._instances(run)}

    def tries(self, run: str) -> dict[str, int]:
        """How often each task was tried that was tried at all."""
        return {task["task_id"]: task["try_number"] for task in self._instances(run) if task["try_number"]}

    def _instances(self, run: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"{self._runs}/{run}/taskInstances?limit=100")["task_instances"]
        return found

    def state(self, run: str) -> str:
        return str(self.call("GET", f"{self._runs}/{run}")["state"])

    def wait(self, run: str, *, seconds: float = 600, meanwhile: Callable[[], None] = lambda: None) -> str:
        """The state in which the run ends."""
        deadline = time.monotonic() + seconds
        while (state := self.state(run)) not in ("success", "failed"):
            assert time.monotonic() < deadline, f"{run} has not ended within {seconds} s: {self.tasks(run)}"
            meanwhile()
            time.sleep(0.3)
        return state

    def clear(self, run: str, task: str) -> None:
        """What a person does with a task that died: clear it and all that comes after it."""
        body = {"dry_run": False, "dag_run_id": run, "task_ids": [task], "only_failed": False}
        self.call("POST", f"{self._dag}/clearTaskInstances", body | {"include_downstream": True})

    def xcom(self, run: str, task: str, key: str) -> Any:
        """A value that a task left; None when it left none."""
        entries = self.call("GET", f"{self._runs}/{run}/taskInstances/{task}/xcomEntries")["xcom_entries"]
        if key not in {entry["key"] for entry in entries}:
            return None
        path = f"{self._runs}/{run}/taskInstances/{task}/xcomEntries/{key}?stringify=false"
        return self.call("GET", path)["value"]
