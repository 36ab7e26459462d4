"""Triggers a DAG of the running lab through Airflow's REST API and shows its tasks as they go."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp

from lab import credentials, state
from lab.errors import LabError

Json = dict[str, Any]

USER = "airflow_runner"  # the credential id of the service user
POLL_EVERY = 0.5  # seconds
FINAL = ("success", "failed")
LAST_LINES = 20


class RunError(LabError):
    """The DAG could not be run; the text says why in one sentence."""


def run(root: Path, dag: str, conf: str) -> int:
    """Trigger the DAG, print each task's changes of state, and the last log lines of tasks that failed.

    Returns 0 when the run succeeded and 1 when it failed. Raises RunError when it could not even be started.
    """
    return asyncio.run(_run(root, dag, _parsed(conf)))


def _parsed(conf: str) -> Json:
    try:
        value = json.loads(conf)
    except json.JSONDecodeError as error:
        raise RunError(f"CONF is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise RunError(f"CONF must be a JSON object such as {{}}, not {conf}.")
    return value


async def _run(root: Path, dag: str, conf: Json) -> int:
    address = state.load(root).get("addresses", {}).get("airflow")
    if address is None:
        raise RunError(f"No lab with Airflow has been started at {root}: start it with `make lab`.")
    try:
        async with _session(root, address) as airflow:
            run_id = await _trigger(airflow, dag, conf)
            print(f"{dag} {run_id}")
            return await _follow(airflow, dag, run_id)
    except aiohttp.ClientConnectionError as error:
        raise RunError(f"Airflow does not answer at {address}: is the lab running (`make status`)? {error}") from error


class Airflow:
    """Airflow's REST API as one user."""

    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}

    async def request(self, method: str, path: str, body: Json | None = None) -> Json:
        """The answer of /api/v2. Raises RunError with Airflow's own explanation when it refuses."""
        async with self._session.request(method, f"/api/v2{path}", json=body, headers=self._headers) as answer:
            content = cast(Json, await answer.json())
            if answer.status >= 400:
                raise RefusedError(answer.status, _explanation(content))
            return content


class RefusedError(RunError):
    """Airflow answered with an error ``status``."""

    def __init__(self, status: int, explanation: str) -> None:
        super().__init__(f"Airflow refused ({status}): {explanation}")
        self.status = status
        self.explanation = explanation


@asynccontextmanager
async def _session(root: Path, address: str) -> AsyncIterator[Airflow]:
    login = {"username": credentials.USERS[USER], "password": credentials.read(root / "credentials", USER)}
    timeout = aiohttp.ClientTimeout(total=60)  # a loaded machine takes its time for the first request
    async with aiohttp.ClientSession(address, timeout=timeout) as session:
        async with session.post("/auth/token", json=login) as answer:
            if answer.status != 201:
                raise RunError(f"Airflow at {address} does not let its service user in ({answer.status}).")
            token = (await answer.json())["access_token"]
        yield Airflow(session, token)


async def _trigger(airflow: Airflow, dag: str, conf: Json) -> str:
    try:
        await airflow.request("PATCH", f"/dags/{dag}", {"is_paused": False})
    except RefusedError as error:
        if error.status != 404:
            raise
        raise RunError(await _no_such_dag(airflow, dag)) from None
    started = await airflow.request("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
    return str(started["dag_run_id"])


async def _no_such_dag(airflow: Airflow, dag: str) -> str:
    known = sorted(entry["dag_id"] for entry in (await airflow.request("GET", "/dags?limit=100"))["dags"])
    broken = (await airflow.request("GET", "/importErrors"))["import_errors"]
    files = f" These files could not be read: {', '.join(error['filename'] for error in broken)}." if broken else ""
    return f"There is no DAG {dag}; there are: {', '.join(known) or 'none yet'}.{files}"


async def _follow(airflow: Airflow, dag: str, run_id: str) -> int:
    path = f"/dags/{dag}/dagRuns/{run_id}"
    began = time.monotonic()
    seen: dict[str, str] = {}
    while True:
        # The run is asked for first: once it is over, the tasks' states are final too.
        run_state = (await airflow.request("GET", path))["state"]
        tasks = (await airflow.request("GET", f"{path}/taskInstances?limit=100"))["task_instances"]
        for task in tasks:
            now = task["state"] or "waiting"
            if seen.get(_name(task), "waiting") != now:
                print(f"{time.monotonic() - began:7.1f} s  {_name(task):<32} {now}", flush=True)
                seen[_name(task)] = now
        if run_state in FINAL:
            break
        await asyncio.sleep(POLL_EVERY)
    for task in sorted(tasks, key=lambda task: task["end_date"] or ""):
        if task["state"] == "failed":
            await _show_log(airflow, path, task)
    print(f"{dag}: {run_state} after {time.monotonic() - began:.1f} s")
    return 0 if run_state == "success" else 1


def _name(task: Json) -> str:
    return task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"


async def _show_log(airflow: Airflow, run_path: str, task: Json) -> None:
    path = f"{run_path}/taskInstances/{task['task_id']}/logs/{task['try_number']}?map_index={task['map_index']}"
    print(f"\nThe end of {_name(task)}'s log:")
    entries = (await airflow.request("GET", path))["content"]
    lines = [line for entry in entries for line in _lines(entry) if not line.startswith("::")]  # the UI's folding marks
    for line in lines[-LAST_LINES:]:
        print(f"  {line}")


def _lines(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return str(entry).splitlines()
    # The first error is the one that was raised; those after it are its causes, in the words of ever deeper libraries.
    reasons = [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or []][:1]
    return " ".join([entry.get("event", ""), *reasons]).splitlines()


def _explanation(content: Json) -> str:
    detail = content.get("detail", content)
    return detail if isinstance(detail, str) else json.dumps(detail)
