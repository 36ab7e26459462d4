"""`python -m lab run` against a small Airflow that says what a test wants it to say."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lab import credentials, run, state
from lab.invocation import command
from lab.run import RunError

Json = dict[str, Any]


class Airflow:
    """Serves one DAG, `good`, whose run goes through the given snapshots of task states, one a poll."""

    def __init__(self, *snapshots: tuple[str, Json]) -> None:
        self._snapshots = list(snapshots)
        self.triggered: list[Json] = []
        self.unpaused = False
        self.health = dict.fromkeys(("metadatabase", "scheduler", "triggerer", "dag_processor"), "healthy")
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/auth/token", self._token),
                web.get("/api/v2/monitor/health", self._health),
                web.get("/api/v2/dags", self._dags),
                web.get("/api/v2/importErrors", self._errors),
                web.patch("/api/v2/dags/{dag}", self._unpause),
                web.post("/api/v2/dags/good/dagRuns", self._trigger),
                web.get("/api/v2/dags/good/dagRuns/r1", self._run),
                web.get("/api/v2/dags/good/dagRuns/r1/taskInstances", self._tasks),
                web.get("/api/v2/dags/good/dagRuns/r1/taskInstances/{task}/logs/{number}", self._log),
            ]
        )

    async def _token(self, request: web.Request) -> web.Response:
        login = await request.json()
        right = login == {"username": "runner", "password": "the right one"}
        return web.json_response({"access_token": "t"} if right else {"detail": "no"}, status=201 if right else 401)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({name: {"status": status} for name, status in self.health.items()})

    async def _dags(self, _: web.Request) -> web.Response:
        return web.json_response({"dags": [{"dag_id": "good"}]})

    async def _errors(self, _: web.Request) -> web.Response:
        return web.json_response({"import_errors": [{"filename": "broken.py"}]})

    async def _unpause(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer t"
        if request.match_info["dag"] != "good":
            return web.json_response({"detail": "not found"}, status=404)
        self.unpaused = (await request.json()) == {"is_paused": False}
        return web.json_response({})

    async def _trigger(self, request: web.Request) -> web.Response:
        body = await request.json()
        if "bad" in body["conf"]:
            return web.json_response({"detail": "Invalid input for param bad"}, status=400)
        self.triggered.append(body)
        return web.json_response({"dag_run_id": "r1"})

    async def _run(self, _: web.Request) -> web.Response:
        return web.json_response({"state": self._snapshots[0][0]})

    async def _tasks(self, _: web.Request) -> web.Response:
        tasks = self._snapshots[0][1]
        if len(self._snapshots) > 1:
            self._snapshots.pop(0)
        fields = {"map_index": -1, "try_number": 2, "end_date": None}
        return web.json_response(
            {"task_instances": [{"task_id": name, "state": now, **fields} for name, now in tasks.items()]}
        )

    async def _log(self, request: web.Request) -> web.Response:
        assert request.match_info["number"] == "2"
        own, error = "airflow.task.operators.infra_ops.One", [{"exc_type": "OSError", "exc_value": "no\nway"}]
        content = [
            {"event": "::group::Log message source details", "sources": ["/log"]},
            {"event": "DAG bundles loaded: dags", "level": "info", "logger": "airflow.dag_processing.bundles.manager"},
            {"event": f"{request.match_info['task']} tried", "level": "info", "logger": own},
            {"event": "Retrying after <object at 0x7f>", "level": "warning", "logger": "urllib3.connectionpool"},
            {"event": "a print", "level": "info", "logger": "task.stdout"},
            {"event": "Task failed", "level": "error", "logger": "task", "error_detail": error},
        ]
        return web.json_response({"content": content})


@contextlib.contextmanager
def served(airflow: Airflow, root: Path) -> Iterator[None]:
    """Serve it from another thread, and write the state file of a lab that has it."""
    started, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        runner = web.AppRunner(airflow.app, access_log=None)  # with Airflow imported, it would go to the output
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        state.save(root, {"addresses": {"airflow": f"http://127.0.0.1:{runner.addresses[0][1]}"}})
        credentials.store(root / "credentials", "airflow_runner", "the right one")
        started.set()

    loop.create_task(serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "POLL_EVERY", 0.01)


def test_a_run_that_succeeds_shows_each_change_once_and_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow = Airflow(
        ("queued", {"one": None, "two": None}),
        ("running", {"one": "running", "two": None}),
        ("running", {"one": "running", "two": None}),
        ("success", {"one": "success", "two": "success"}),
    )
    with served(airflow, tmp_path):
        assert run.run(tmp_path, "good", '{"mode": "plan"}') == 0
    assert airflow.unpaused
    assert airflow.triggered == [{"logical_date": None, "conf": {"mode": "plan"}}]
    lines = [line.split("s  ")[-1].split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:-1] == [["one", "running"], ["one", "success"], ["two", "success"]]


def test_a_run_that_fails_shows_the_end_of_the_failed_tasks_logs_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not of those that only follow from the failure, and only what the task itself said."""
    airflow = Airflow(("failed", {"one": "failed", "two": "upstream_failed"}))
    with served(airflow, tmp_path):
        assert run.run(tmp_path, "good", "{}") == 1
    shown = capsys.readouterr().out
    assert "The end of one's log:\n  one tried\n  a print\n  Task failed OSError: no\n  way\n" in shown
    assert "two's log" not in shown
    assert "good: failed after" in shown


def test_an_unknown_dag_is_answered_with_those_there_are_and_files_that_could_not_be_read(tmp_path: Path) -> None:
    with (
        served(Airflow(), tmp_path),
        pytest.raises(RunError, match=r"^There is no DAG god; there are: good\. These files .* read: broken\.py\.$"),
    ):
        run.run(tmp_path, "god", "{}")


def test_parameters_that_the_dag_refuses_are_reported_in_airflows_own_words(tmp_path: Path) -> None:
    with (
        served(Airflow(), tmp_path),
        pytest.raises(RunError, match=r"^Airflow refused \(400\): Invalid input for param bad$"),
    ):
        run.run(tmp_path, "good", '{"bad": 1}')


@pytest.mark.parametrize(
    ("component", "service"),
    [
        ("metadatabase", "postgres"),
        ("scheduler", "airflow-scheduler"),
        ("triggerer", "airflow-triggerer"),
        ("dag_processor", "airflow-dag-processor"),
    ],
)
def test_a_dead_component_is_named_before_anything_is_triggered(tmp_path: Path, component: str, service: str) -> None:
    """Without it the run would wait for ever."""
    airflow = Airflow()
    airflow.health[component] = "unhealthy"
    with served(airflow, tmp_path), pytest.raises(RunError) as refused:
        run.run(tmp_path, "good", "{}")
    start = command(tmp_path, "start", service)
    assert str(refused.value) == f"Airflow says that its {component} is not healthy: start it again with `{start}`."
    assert airflow.triggered == []


def test_a_component_that_dies_while_a_run_waits_ends_the_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "HEALTH_EVERY", 0.02)

    class Dying(Airflow):
        async def _tasks(self, request: web.Request) -> web.Response:
            self.health["scheduler"] = "unhealthy"
            return await super()._tasks(request)

    with served(Dying(("queued", {"one": None})), tmp_path), pytest.raises(RunError, match="its scheduler is not heal"):
        run.run(tmp_path, "good", "{}")
    assert "good r1" in capsys.readouterr().out


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_is_no_json_is_one_sentence(tmp_path: Path, status: int) -> None:
    class Broken(Airflow):
        async def _trigger(self, request: web.Request) -> web.Response:
            return web.Response(text="Internal Server\nError", status=status)

    sentence = rf"^Airflow answered POST /dags/good/dagRuns with {status} and no JSON \(Internal Server Error\): .*\.$"
    with served(Broken(), tmp_path), pytest.raises(RunError, match=sentence):
        run.run(tmp_path, "good", "{}")


def test_an_airflow_that_takes_too_long_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp's own error has no text."""
    monkeypatch.setattr(run, "TIMEOUT", 0.2)

    class Slow(Airflow):
        async def _trigger(self, request: web.Request) -> web.Response:
            await asyncio.sleep(2)
            return await super()._trigger(request)

    with (
        served(Slow(), tmp_path),
        pytest.raises(RunError, match=r"^Airflow at http://\S+ did not answer within 0\.2 s"),
    ):
        run.run(tmp_path, "good", "{}")


def test_a_lab_without_the_runners_password_says_so(tmp_path: Path) -> None:
    with served(Airflow(), tmp_path):
        (tmp_path / "credentials" / "airflow_runner").unlink()
        with pytest.raises(RunError, match="^No credential airflow_runner in "):
            run.run(tmp_path, "good", "{}")


@pytest.mark.parametrize(
    ("conf", "sentence"),
    [("{", "CONF is not JSON"), ("[1]", "CONF must be a JSON object"), ("nonsense", "CONF is not JSON")],
)
def test_bad_json_is_refused_before_anybody_is_asked(tmp_path: Path, conf: str, sentence: str) -> None:
    with pytest.raises(RunError, match=sentence):
        run.run(tmp_path, "good", conf)


def test_without_a_lab_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(RunError) as refused:
        run.run(tmp_path, "good", "{}")
    start = command(tmp_path, "up")
    assert str(refused.value) == f"No lab with Airflow has been started at {tmp_path}: start it with `{start}`."


def test_a_lab_that_has_stopped_is_not_mistaken_for_a_failed_run(tmp_path: Path) -> None:
    with served(Airflow(), tmp_path):
        pass
    state.save(tmp_path, {"addresses": {"airflow": "http://127.0.0.1:9"}})
    with pytest.raises(RunError, match=r"^Airflow does not answer at http://127.0.0.1:9: is the lab running"):
        run.run(tmp_path, "good", "{}")


def test_a_login_that_is_refused_is_told_without_the_password(tmp_path: Path) -> None:
    with served(Airflow(), tmp_path):
        credentials.store(tmp_path / "credentials", "airflow_runner", "the wrong one")
        with pytest.raises(RunError, match=r"does not let its service user in \(401\)") as refused:
            run.run(tmp_path, "good", json.dumps({}))
    assert "the wrong one" not in str(refused.value)
