"""Airflow 3.0.2: API server, scheduler, DAG processor and triggerer, each a service of its own."""

import asyncio
import importlib.metadata
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
import asyncpg  # type: ignore[import-untyped]

from lab import credentials, files
from lab.layout import Lab
from lab.services.airflow_access import grant
from lab.services.airflow_settings import Executor, environment, home, url, write_config
from lab.supervisor.process import run
from lab.supervisor.service import Service

PACKAGES = ("apache-airflow", "apache-airflow-providers-fab")  # what the tables depend on
COMPONENTS = {
    # Scheduler and triggerer would serve their logs on all interfaces; here everybody reads the same folder.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag_processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


def services(lab: Lab, executor: Executor = "local") -> list[Service]:
    """Airflow's four components, to be started side by side: importing Airflow is most of their start-up."""
    port = lab.ports.of("airflow")
    shared: dict[str, str] = {}  # filled while preparing: it tells the nodes' host keys, which their first start makes

    async def prepare() -> None:
        shared.update(environment(lab))
        write_config(lab, executor)
        await asyncio.gather(_set_up_database(lab), grant(lab))

    prepare_once = _once(prepare)

    def service(name: str, arguments: tuple[str, ...], ready: Callable[[], Awaitable[bool]], port: int = 0) -> Service:
        return Service(
            name=f"airflow-{name.replace('_', '-')}",
            command=(sys.executable, "-m", "airflow", *arguments),
            environment=shared,
            after=("postgres", "apiserver", "nodes"),
            ports=(port,) if port else (),
            prepare=prepare_once,
            ready=ready,
            grace=10,
            timeout=120,
        )

    api_server = ("api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    return [
        service("api-server", api_server, lambda: _answers(lab), port),
        *(service(name, arguments, _beats(lab, name)) for name, arguments in COMPONENTS.items()),
    ]


async def _answers(lab: Lab) -> bool:
    return "metadatabase" in await _health(lab)


def _beats(lab: Lab, component: str) -> Callable[[], Awaitable[bool]]:
    """Whether the component's last heartbeat is of this start: after a quick restart an old one would still count."""
    since = datetime.now(UTC)

    async def ready() -> bool:
        seen = (await _health(lab)).get(component, {})
        beat = seen.get(f"latest_{component}_heartbeat")
        return seen.get("status") == "healthy" and beat is not None and datetime.fromisoformat(beat) > since

    return ready


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


def _once(step: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
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
    command = (sys.executable, "-m", "lab.services.airflow_setup", str(lab.credentials))
    await run(command, {**lab.environment(), **environment(lab)}, lab.log / "airflow-setup.log")
    files.write(marker, json.dumps({**versions, "revisions": await _revisions(lab)}))


async def _revisions(lab: Lab) -> list[str]:
    """The revisions of Airflow's own tables and of its users' tables in the database; [] when it is empty."""
    password = credentials.read(lab.credentials, "airflow_database")
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=lab.ports.of("postgres"),
        user="airflow",
        password=password,
        database="airflow",
        ssl=False,
    )
    try:
        rows = await connection.fetch(
            "SELECT version_num FROM alembic_version UNION ALL SELECT version_num FROM alembic_version_fab"
        )
        return [row["version_num"] for row in rows]
    except asyncpg.UndefinedTableError:
        return []
    finally:
        await connection.close()
