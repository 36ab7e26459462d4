"""The socket by which the command line speaks to a running lab."""

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.desk import Desk
from lab.supervisor import control
from tests.lab.supervisor.bench import SLEEP, Bench, python


def converse(bench: Bench, *questions: Callable[[Path, Desk], None]) -> None:
    """Serve a supervisor of one service `one`, and ask from another thread, as another process would."""

    async def scene() -> None:
        async def ready() -> bool:
            return bool((bench.folder / "one.log").read_text())

        supervisor = bench.supervisor([python("one", "print('up', flush=True); " + SLEEP, ready=ready)])
        desk = Desk(supervisor, asyncio.Event())
        async with control.serve(bench.folder / "socket", desk.answer):
            try:
                await supervisor.start_all()
                desk.phase = "up"
                for question in questions:
                    await asyncio.to_thread(question, bench.folder / "socket", desk)
            finally:
                await supervisor.stop_all()

    asyncio.run(scene())


def test_only_the_owner_may_open_the_socket(bench: Bench) -> None:
    def look(path: Path, _: Desk) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    converse(bench, look)
    assert not (bench.folder / "socket").exists()


def test_the_status_names_each_service_its_state_and_its_memory(bench: Bench) -> None:
    def ask(path: Path, _: Desk) -> None:
        reply = control.ask(path, {"do": "status"})
        assert reply["phase"] == "up"
        (entry,) = reply["services"]
        assert (entry["name"], entry["state"]) == ("one", "healthy")
        assert 1_000_000 < entry["memory"] < 100_000_000

    converse(bench, ask)


def test_a_service_is_stopped_and_started_from_outside(bench: Bench) -> None:
    def ask(path: Path, _: Desk) -> None:
        assert control.ask(path, {"do": "stop", "name": "one"}) == {}
        assert control.ask(path, {"do": "status"})["services"][0]["state"] == "stopped"
        assert control.ask(path, {"do": "start", "name": "one"}) == {}
        assert control.ask(path, {"do": "status"})["services"][0]["state"] == "healthy"

    converse(bench, ask)


def test_what_cannot_be_done_is_answered_with_a_sentence(bench: Bench) -> None:
    def ask(path: Path, desk: Desk) -> None:
        assert control.ask(path, {"do": "stop", "name": "two"})["error"] == "there is no service two; there are: one"
        assert "unknown request" in control.ask(path, {"do": "dance"})["error"]
        desk.phase = "starting"
        assert control.ask(path, {"do": "stop", "name": "one"})["error"] == "the lab is starting"

    converse(bench, ask)


def test_nobody_at_the_socket_is_told_from_an_answer(tmp_path: Path) -> None:
    with pytest.raises(control.NobodyError, match="no lab answers at"):
        control.ask(tmp_path / "socket", {"do": "status"})


def test_a_socket_that_a_killed_lab_left_behind_is_in_nobodys_way(bench: Bench) -> None:
    (bench.folder / "socket").touch()

    def ask(path: Path, _: Desk) -> None:
        assert control.ask(path, {"do": "phase"})["phase"] == "up"

    converse(bench, ask)
