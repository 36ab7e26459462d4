"""PostgreSQL of the lab: the real server."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from lab import credentials
from lab.layout import Lab
from lab.ports import Ports
from lab.services import postgres, unprivileged
from lab.services.unprivileged import Account
from lab.supervisor.supervisor import Supervisor
from tests.lab.services.stage import run


async def login(lab: Lab, user: str, password: str, database: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1", port=lab.ports.of("postgres"), user=user, password=password, database=database, ssl=False
    )


async def query(lab: Lab, sql: str) -> object:
    connection = await postgres.connect(lab)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def test_logins_over_tcp_need_the_right_password(lab: Lab) -> None:
    """A wrong one is refused with 28P01, PostgreSQL's own code; an old or no password would otherwise look alike."""

    async def play(_: Supervisor) -> None:
        for credential_id, databases in postgres.ROLES.items():
            user, password = credentials.USERS[credential_id], credentials.read(lab.credentials, credential_id)
            for database in databases:
                connection = await login(lab, user, password, database)
                await connection.execute("CREATE TABLE mine (id int)")  # it owns the database
                await connection.close()
                with pytest.raises(asyncpg.InvalidPasswordError) as refused:
                    await login(lab, user, "wrong", database)
                assert refused.value.sqlstate == "28P01"
        assert str(await query(lab, "SELECT rolpassword FROM pg_authid WHERE rolname = 'appuser'")).startswith("SCRAM")
        assert await query(lab, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0

    run(lab, [postgres.postgres(lab)], play)


def test_it_listens_on_loopback_only_and_on_no_unix_socket(lab: Lab) -> None:
    async def play(supervisor: Supervisor) -> None:
        process = psutil.Process(supervisor.status()[0]["pid"])
        listening = [each.laddr.ip for each in process.net_connections("all") if each.status == psutil.CONN_LISTEN]
        assert listening == ["127.0.0.1"]
        assert await query(lab, "SHOW unix_socket_directories") == ""

    run(lab, [postgres.postgres(lab)], play)


def test_no_password_is_in_the_process_list_or_the_log(lab: Lab) -> None:
    async def play(supervisor: Supervisor) -> None:
        process = psutil.Process(supervisor.status()[0]["pid"])
        shown = " ".join(process.cmdline()) + "".join(file.read_text() for file in lab.log.iterdir())
        for name in credentials.USERS:
            assert credentials.read(lab.credentials, name) not in shown

    run(lab, [postgres.postgres(lab)], play)


def test_a_second_start_keeps_the_data_and_changed_passwords_even_on_another_port(lab: Lab) -> None:
    """What a rotation set must not be set back by the next start."""

    async def change(_: Supervisor) -> None:
        await query(lab, "ALTER ROLE appuser PASSWORD 'rotated'")
        await query(lab, "CREATE TABLE kept ()")

    run(lab, [postgres.postgres(lab)], change)
    moved = Lab(lab.root, Ports())

    async def look(_: Supervisor) -> None:
        assert await query(moved, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == 1
        await (await login(moved, "appuser", "rotated", "celery")).close()

    run(moved, [postgres.postgres(moved)], look)


def test_it_recovers_from_being_killed(lab: Lab) -> None:
    """Its lock file stays behind and names a process that has gone."""

    async def kill(supervisor: Supervisor) -> None:
        await query(lab, "CREATE TABLE kept ()")
        await query(lab, "CHECKPOINT")
        os.killpg(supervisor.status()[0]["pid"], signal.SIGKILL)
        async with asyncio.timeout(5):
            while True:
                if supervisor.status()[0]["state"] == "dead":
                    break
                await asyncio.sleep(0.02)

    run(lab, [postgres.postgres(lab)], kill)
    assert (lab.data("postgres") / "postmaster.pid").exists()

    async def look(_: Supervisor) -> None:
        assert await query(lab, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == 1

    run(lab, [postgres.postgres(lab)], look)


def test_an_initdb_that_was_killed_half_way_is_done_again(lab: Lab) -> None:
    half = lab.data("postgres").with_name("postgres.unfinished")
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")

    async def look(_: Supervisor) -> None:
        assert await query(lab, "SELECT 1") == 1

    run(lab, [postgres.postgres(lab)], look)
    assert not half.exists()


@contextmanager
def reachable(root: Path) -> Iterator[None]:
    """pytest's folders are closed to other users; open the way to this one for a moment."""
    closed = [parent for parent in root.parents if parent.stat().st_mode & 0o001 == 0]
    for parent in closed:
        parent.chmod(parent.stat().st_mode | 0o001)
    try:
        yield
    finally:
        for parent in closed:
            parent.chmod(parent.stat().st_mode & ~0o001)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_without_namespaces_becomes_nobody(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL refuses uid 0. Some containers allow no user namespaces, in which root looks like somebody else."""
    monkeypatch.setattr(unprivileged, "OWN_NAMESPACE", ("false",))
    account = unprivileged.account()
    assert account.uid != 0
    installed = postgres.binary("postgres").resolve()
    if not _may_reach(account, installed):
        pytest.skip(f"{account.uid} cannot reach {installed}")

    async def look(supervisor: Supervisor) -> None:
        assert await query(lab, "SELECT 1") == 1
        assert psutil.Process(supervisor.status()[0]["pid"]).uids().effective == account.uid

    with reachable(lab.root):
        run(lab, [postgres.postgres(lab)], look)


def _may_reach(account: Account, path: Path) -> bool:
    return shutil.which("setpriv") is not None and all(parent.stat().st_mode & 0o001 for parent in path.parents)
