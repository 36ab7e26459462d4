"""Airflow 3.0.2: API server, scheduler, DAG processor and triggerer, each a service of its own."""

import asyncio
import importlib.metadata
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
import asyncpg

from lab import credentials, files
from lab.layout import PROJECT, Lab
from lab.services.airflow_access import grant
from lab.services.airflow_environment import of_components, of_triggerer
from lab.services.airflow_settings import Executor, home, url, write_config
from lab.supervisor.process import run
from lab.supervisor.service import Service

AIRFLOW = (sys.executable, "-m", "airflow")
NEEDS = ("postgres", "apiserver", "nodes", "proxy")
GRACE = 10.0  # seconds; the scheduler waits for the tasks that it runs
TIMEOUT = 120.0
PACKAGES = ("apache-airflow", "apache-airflow-providers-fab")  # what the tables depend on
COMPONENTS = {  # by the names that Airflow's health report gives them
    # Scheduler and triggerer would serve their logs on all interfaces; here everybody reads the same folder.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag_processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}

Step = Callable[[], Awaitable[None]]


def services(lab: Lab, executor: Executor = "local") -> list[Service]:
    """Airflow's four components, to be started side by side: importing Airflow is most of their start-up."""
    port = lab.ports.of("airflow")
    # Filled while preparing: they tell the nodes' host keys, which their first start makes.
    shared: dict[str, str] = {}
    triggerers: dict[str, str] = {}

    async def prepare() -> None:
        shared.update(of_components(lab))
        triggerers.update(of_triggerer(lab))
        write_config(lab, executor)
        await asyncio.gather(_set_up_database(lab), grant(lab, executor))

    prepare_once = _once(prepare)
    api_server = Service(
        name="airflow-api-server",
        command=(*AIRFLOW, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        environment=shared,
        after=NEEDS,
        ports=(port,),
        prepare=prepare_once,
        ready=lambda: _answers(lab),
        grace=GRACE,
        timeout=TIMEOUT,
    )
    environments = {"triggerer": triggerers}
    return [
        api_server,
        *(_component(lab, name, environments.get(name, shared), prepare_once) for name in COMPONENTS),
    ]


def _component(lab: Lab, name: str, environment: dict[str, str], prepare: Step) -> Service:
    """One that serves nobody; ready when the API server knows of a heartbeat of this start."""
    started = datetime.now(UTC)

    async def prepare_and_note_the_time() -> None:
        nonlocal started
        await prepare()
        started = datetime.now(UTC)

    async def ready() -> bool:
        seen = (await _health(lab)).get(name, {})
        beat = seen.get(f"latest_{name}_heartbeat")
        # Soon after a restart the former process' last heartbeat still counts as healthy.
        beats = seen.get("status") == "healthy" and beat is not None and datetime.fromisoformat(beat) > started
        return beats and (name != "dag_processor" or await _knows_all_dags(lab))

    return Service(
        name=f"airflow-{name.replace('_', '-')}",
        command=(*AIRFLOW, *COMPONENTS[name]),
        environment=environment,
        after=NEEDS,
        prepare=prepare_and_note_the_time,
        ready=ready,
        grace=GRACE,
        timeout=TIMEOUT,
    )


async def _answers(lab: Lab) -> bool:
    return "metadatabase" in await _health(lab)


async def _knows_all_dags(lab: Lab) -> bool:
    """Whether every DAG file was read once, well or with an error: before that, nobody can run its DAG."""
    read = await _query(lab, "SELECT relative_fileloc FROM dag UNION SELECT filename FROM import_error")
    folder = PROJECT / "dags"
    return {str(file.relative_to(folder)) for file in folder.rglob("*.py")} <= set(read)


async def _health(lab: Lab) -> dict[str, dict[str, str | None]]:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"{url(lab)}/api/v2/monitor/health") as response,
        ):
            health: dict[str, dict[str, str | None]] = await response.json()
            return health
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return {}


def _once(step: Step) -> Step:
    """The step as something that several may await and that is done by one of them; what failed is tried again."""
    lock = asyncio.Lock()
    done = False

    async def shared() -> None:
        nonlocal done
        async with lock:
            if not done:
                await step()
                done = True

    return shared


async def _set_up_database(lab: Lab) -> None:
    """Create tables and users, unless the database is as an earlier start with the same packages left it."""
    marker = home(lab) / "set-up.json"
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    if marker.exists() and json.loads(marker.read_text()) == {**versions, "revisions": await _revisions(lab)}:
        return
    arguments = (str(lab.credentials), str(lab.ports.of("postgres")))
    command = (sys.executable, "-m", "lab.services.airflow_setup", *arguments)
    await run(command, {**lab.environment(), **of_components(lab)}, lab.log / "airflow-setup.log")
    files.write(marker, json.dumps({**versions, "revisions": await _revisions(lab)}))


async def _revisions(lab: Lab) -> list[str]:
    """The revisions of Airflow's own tables and of its users' tables in the database; [] when it is empty."""
    tables = ("alembic_version", "alembic_version_fab")
    try:
        return await _query(lab, " UNION ALL ".join(f"SELECT version_num FROM {table}" for table in tables))  # noqa: S608
    except asyncpg.UndefinedTableError:
        return []


async def _query(lab: Lab, question: str) -> list[str]:
    """The one column that the question asks of Airflow's database."""
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=lab.ports.of("postgres"),
        user=credentials.USERS["airflow_database"],
        password=credentials.read(lab.credentials, "airflow_database"),
        database="airflow",
        ssl=False,
    )
    try:
        return [row[0] for row in await connection.fetch(question)]
    finally:
        await connection.close()
