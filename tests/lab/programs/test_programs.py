"""The small programs in the lab's pods use the services as applications do: what they were started with, and again."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from infra_ops.clients.postgres import Server
from infra_ops.facts.postgres import sessions
from infra_ops.models.credentials import Credential
from lab import credentials
from lab.doubles.grafana import Grafana
from lab.doubles.passwords import hashed
from lab.doubles.statefile import StateFile
from lab.layout import Lab
from lab.services.postgres import postgres
from tests.lab.doubles.stage import served
from tests.lab.running import running
from tests.lab.services.stage import furnish

PROJECT = Path(__file__).parents[3]
PASSWORD = "Walnut&Pepper!1234"


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


class Program:
    """A running program, its log, and whether its readiness port listens."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self.process = process
        self._log = log
        self._port = port

    @property
    def log(self) -> str:
        return self._log.read_text()

    def is_ready(self) -> bool:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self._port)):
            return True
        return False


@contextlib.contextmanager
def started(folder: Path, module: str, *words: str, **environment: str) -> Iterator[Program]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", f"lab.programs.{module}", *words, str(port)]
    environment = {"PATH": os.environ["PATH"], "POD_IP": "127.0.0.1", **environment}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
    try:
        yield Program(process, folder / "log", port)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = furnish(tmp_path_factory.mktemp("programs"))
    with running(lab, [postgres(lab)]):
        yield lab


@pytest.fixture
def server(lab: Lab) -> Server:
    """The database, as its administrator, with the role `app`."""
    server = Server(
        "127.0.0.1",
        lab.ports.of("postgres"),
        Credential("postgres", credentials.read(lab.credentials, "postgres_superuser")),
    )
    server.execute(["drop role if exists app", f"create role app login password '{PASSWORD}'"])
    return server


def ways_in(server: Server) -> dict[str, dict[str, str]]:
    url = f"postgresql://app:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/postgres"
    return {
        "libpq": {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": "app",
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": "postgres",
        },
        "DATABASE_URL": {"DATABASE_URL": url},
        "DATA_SOURCE_NAME": {"DATA_SOURCE_NAME": f"{url}?sslmode=disable"},
    }


@pytest.mark.parametrize("way", ["libpq", "DATABASE_URL", "DATA_SOURCE_NAME"])
def test_a_database_client_keeps_a_session_under_its_own_name(server: Server, tmp_path: Path, way: str) -> None:
    with started(tmp_path, "database_client", PGAPPNAME="pod-7", **ways_in(server)[way]) as program:
        wait_until(program.is_ready, "it is logged in")
        assert [session.application for session in sessions(server, "app")] == ["pod-7"]
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(timeout=5) == 0
    wait_until(lambda: not sessions(server, "app"), "its session ends with it")


def test_a_database_client_that_is_refused_is_not_ready_and_tries_again_with_the_same_password(
    server: Server, tmp_path: Path
) -> None:
    """What a program does that reads its environment once: only a restart gives it the new value."""
    with started(tmp_path, "database_client", **ways_in(server)["libpq"]) as program:
        wait_until(program.is_ready, "it is logged in")
        server.execute(["alter role app password 'other'"])
        server.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
        wait_until(lambda: not program.is_ready(), "it notices that its session has gone")
        wait_until(lambda: "password authentication failed" in program.log, "it is refused")
        assert not program.is_ready()
        server.execute([f"alter role app password '{PASSWORD}'"])
        wait_until(program.is_ready, "it is let in again")
        assert PASSWORD not in program.log


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"postgresql://app:{PASSWORD}@[::1/db", "the connection string cannot be read"),
        (f"postgresql://app:{PASSWORD}/more@h:1/db", "no session: OperationalError"),
    ],
)
def test_a_connection_string_that_cannot_be_read_is_not_shown(tmp_path: Path, url: str, words: str) -> None:
    """libpq's own messages quote it, or what it takes for the port."""
    with started(tmp_path, "database_client", DATABASE_URL=url) as program:
        wait_until(lambda: words in program.log, "it says so")
        assert PASSWORD not in program.log


@pytest.fixture
def flower() -> Iterator[HTTPServer]:
    """Something that lets in whom `flower.login` names."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            login = base64.b64encode(self.server.login.encode()).decode()  # type: ignore[attr-defined]
            right = self.path == "/api/workers" and self.headers["Authorization"] == f"Basic {login}"
            self.send_response(200 if right else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.login = "admin:old"  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_a_flower_client_reads_its_login_anew_each_time(
    flower: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = {"url": f"http://127.0.0.1:{flower.server_port}", "username": "admin", "password": "old"}
    for name, value in login.items():
        (tmp_path / name).write_text(value)
    with started(tmp_path, "flower_client", str(tmp_path)) as program:
        wait_until(program.is_ready, "Flower lets it in")
        flower.login = "admin:new"  # type: ignore[attr-defined]
        wait_until(lambda: not program.is_ready(), "Flower refuses it")
        (tmp_path / "password").write_text("new")
        wait_until(program.is_ready, "it has read the new password")
        assert program.log.split() == ["200", "401", "200"]


def test_a_flower_client_without_flower_is_not_ready(tmp_path: Path) -> None:
    for name, value in {"url": "http://127.0.0.1:1", "username": "admin", "password": "old"}.items():
        (tmp_path / name).write_text(value)
    with started(tmp_path, "flower_client", str(tmp_path)) as program:
        wait_until(lambda: "no answer: ConnectionRefusedError" in program.log, "it has asked")
        assert not program.is_ready()


def test_a_grafana_sidecar_keeps_the_password_of_its_start_and_tells_only_the_status(tmp_path: Path) -> None:
    """So it goes on with the old one after a change, and Grafana locks the name that it uses."""
    state = StateFile(tmp_path / "grafana.json")
    double = Grafana(state)
    double.seed("admin", PASSWORD)
    with served(double.app()) as url:
        login = {"REQ_USERNAME": "admin", "REQ_PASSWORD": PASSWORD, "SLEEP_TIME": "0.1"}
        login["REQ_URL"] = f"{url}/api/admin/provisioning/dashboards/reload"
        with started(tmp_path, "grafana_sidecar", **login) as program:
            wait_until(lambda: "200" in program.log, "Grafana lets it in")
            with state.changing() as content:
                content["users"][0]["password"] = hashed("another")
            wait_until(lambda: program.log.count("401") > 5, "it is refused, again and again")
            assert set(program.log.split()) == {"200", "401"}
            locked = requests.get(f"{url}/api/user", auth=("admin", "another"), timeout=10)
            assert locked.json()["messageId"] == "login-attempt.blocked"
            program.process.send_signal(signal.SIGTERM)
            assert program.process.wait(timeout=5) == 0
