"""Triggers a DAG of the running lab through Airflow's REST API and shows its tasks as they go."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp

from lab import credentials, state
from lab.errors import LabError
from lab.invocation import command

Json = dict[str, Any]

USER = "airflow_runner"  # the credential id of the service user
POLL_EVERY = 0.5  # seconds
HEALTH_EVERY = 5.0  # seconds
TIMEOUT = 60.0  # seconds; a loaded machine takes its time for the first request
FINAL = ("success", "failed")
LAST_LINES = 20
# What a run needs, by the names of Airflow's health report, and the lab's service to start again. The database first:
# without it Airflow knows nothing of the others.
SERVICES = {
    "metadatabase": "postgres",
    "scheduler": "airflow-scheduler",
    "dag_processor": "airflow-dag-processor",
    "triggerer": "airflow-triggerer",
}


class RunError(LabError):
    """The DAG could not be run; the text says why in one sentence."""


def run(root: Path, dag: str, conf: str) -> int:
    """Trigger the DAG, print each task's changes of state, and the last log lines of tasks that failed.

    Returns 0 when the run succeeded and 1 when it failed. Raises RunError when it could not even be started, or when
    Airflow has lost a component without which nobody would ever end it.
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
        raise RunError(f"No lab with Airflow has been started at {root}: start it with `{command(root, 'up')}`.")
    try:
        async with _session(root, address) as airflow:
            await _check_health(airflow, root)
            run_id = await _trigger(airflow, dag, conf)
            print(f"{dag} {run_id}")
            return await _follow(airflow, dag, run_id, lambda: _check_health(airflow, root))
    except TimeoutError as error:  # before ClientError, because some are both
        log = root / "log" / "airflow-api-server.log"
        raise RunError(f"Airflow at {address} did not answer within {TIMEOUT:g} s: see {log}.") from error
    except aiohttp.ClientError as error:
        status = command(root, "status")
        raise RunError(f"Airflow does not answer at {address}: is the lab running (`{status}`)? {error}") from error


class Airflow:
    """Airflow's REST API as one user."""

    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}

    async def request(self, method: str, path: str, body: Json | None = None) -> Json:
        """The answer of /api/v2.

        Raises RefusedError with Airflow's own explanation when it refuses, RunError when it answers in no JSON, as it
        does when it breaks.
        """
        async with self._session.request(method, f"/api/v2{path}", json=body, headers=self._headers) as answer:
            try:
                content = cast(Json, await answer.json())
            except (aiohttp.ContentTypeError, ValueError):
                text = " ".join((await answer.text())[:80].split())
                raise RunError(
                    f"Airflow answered {method} {path} with {answer.status} and no JSON ({text}): "
                    "the log of airflow-api-server says why."
                ) from None
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
    try:
        login = {"username": credentials.USERS[USER], "password": credentials.read(root / "credentials", USER)}
    except LookupError as error:
        raise RunError(error.args[0]) from None
    async with aiohttp.ClientSession(address, timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session:
        async with session.post("/auth/token", json=login) as answer:
            if answer.status != 201:
                raise RunError(f"Airflow at {address} does not let its service user in ({answer.status}).")
            token = (await answer.json())["access_token"]
        yield Airflow(session, token)


async def _check_health(airflow: Airflow, root: Path) -> None:
    """Raises RunError for a component whose heartbeats have stopped; Airflow takes half a minute to call it dead."""
    health = await airflow.request("GET", "/monitor/health")
    for component, service in SERVICES.items():
        if health[component]["status"] != "healthy":
            start = command(root, "start", service)
            raise RunError(f"Airflow says that its {component} is not healthy: start it again with `{start}`.")


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


async def _follow(airflow: Airflow, dag: str, run_id: str, check_health: Callable[[], Awaitable[None]]) -> int:
    path = f"/dags/{dag}/dagRuns/{run_id}"
    began = checked = time.monotonic()
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
        if time.monotonic() - checked > HEALTH_EVERY:
            await check_health()
            checked = time.monotonic()
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
    lines = [line for entry in entries if _is_own(entry) for line in _lines(entry)]
    for line in lines[-LAST_LINES:]:
        print(f"  {line}")


def _is_own(entry: Any) -> bool:
    """Whether the task said it, or it is an error: not what Airflow and its libraries tell about their own work."""
    if not isinstance(entry, dict):
        return True  # a line that Airflow could not take apart
    return entry.get("level") in ("error", "critical") or entry.get("logger", "").startswith(("airflow.task.", "task."))


def _lines(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return str(entry).splitlines()
    # The first error is the one that was raised; those after it are its causes, in the words of ever deeper libraries.
    reasons = [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or []][:1]
    return " ".join([entry.get("event", ""), *reasons]).splitlines()


def _explanation(content: Json) -> str:
    detail = content.get("detail", content)
    return detail if isinstance(detail, str) else json.dumps(detail)
