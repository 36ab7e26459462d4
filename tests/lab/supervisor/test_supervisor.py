"""The supervisor with tiny services: order, identity, deaths, an end without left-overs."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from lab.layout import PROJECT
from lab.supervisor import supervisor as supervisor_module
from lab.supervisor.service import ServiceError
from lab.supervisor.supervisor import Supervisor
from tests.lab.supervisor.bench import DEAF, SLEEP, Bench, is_alive, listener, nothing, python, until


def pids(supervisor: Supervisor) -> list[int]:
    return [entry["pid"] for entry in supervisor.status() if entry["pid"]]


def states(supervisor: Supervisor) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in supervisor.status()}


def test_a_service_starts_only_after_those_it_needs_have_finished_their_set_up(bench: Bench) -> None:
    """Healthy means set up: a client must not meet a database server that lacks its database."""
    events: list[str] = []

    async def note(event: str) -> None:
        events.append(event)

    async def slowly(event: str) -> None:
        await asyncio.sleep(0.2)
        events.append(event)

    database = python("database", prepare=partial(note, "database prepared"), finish=partial(slowly, "database set up"))
    client = python("client", prepare=partial(note, "client prepared"), after=("database",))
    bench.run([client, database], nothing)
    assert events == ["database prepared", "database set up", "client prepared"]


def test_services_that_do_not_need_each_other_start_side_by_side(bench: Bench) -> None:
    meeting = asyncio.Barrier(2)

    async def meet() -> None:
        await asyncio.wait_for(meeting.wait(), 5)

    bench.run([python("one", prepare=meet), python("two", prepare=meet)], nothing)


def test_a_service_that_dies_at_its_start_is_named_with_its_last_lines(bench: Bench) -> None:
    broken = python("broken", "print('the reason'); raise SystemExit(3)", ready=asyncio.Event().wait)
    with pytest.raises(ServiceError, match=r"broken did not start: it exited with code 3; .*\n  the reason"):
        bench.run([broken], nothing)


def test_a_service_that_dies_while_it_is_set_up_is_noticed_at_once(bench: Bench) -> None:
    """Its set-up may wait for an answer that never comes."""
    broken = python("broken", "import time; time.sleep(0.3); print('gone')", finish=asyncio.Event().wait)
    with pytest.raises(ServiceError, match="broken did not start: it exited with code 0"):
        bench.run([broken], nothing)


def test_a_service_that_never_becomes_ready_is_named_after_its_time(bench: Bench) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(ServiceError, match=r"slow did not start: it was not ready after 0.3 s"):
        bench.run([python("slow", "print(1); " + SLEEP, ready=never, timeout=0.3)], nothing)


def test_a_healthy_service_that_dies_while_others_start_ends_the_start(bench: Bench) -> None:
    """Otherwise those that need it would wait for nothing."""
    broken = python("broken", "import time; time.sleep(0.3); print('gone'); raise SystemExit(1)")
    waiting = python("waiting", ready=asyncio.Event().wait)
    with pytest.raises(ServiceError, match="(?s)^broken exited with code 1; .*gone$"):
        bench.run([broken, waiting], nothing)


def test_the_end_of_a_start_by_a_death_is_told_in_one_sentence(bench: Bench) -> None:
    """In a process of its own, because asyncio complains of forgotten errors only when it collects them."""
    code = """
import asyncio
from pathlib import Path
from lab.supervisor.service import ServiceError
from tests.lab.supervisor.bench import Bench, nothing, python

broken = python("broken", "import time; time.sleep(0.3); print('gone'); raise SystemExit(1)")
try:
    Bench(Path(".")).run([broken, python("waiting", ready=asyncio.Event().wait)], nothing)
except ServiceError as error:
    print(error)
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
    answer = subprocess.run(
        (sys.executable, "-c", code), cwd=bench.folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert re.fullmatch(r"broken exited with code 1; .*\n  gone\n", answer.stdout)
    assert answer.stderr == ""


def test_a_failed_start_stops_the_services_that_had_started(bench: Bench) -> None:
    started: list[int] = []

    async def scene() -> None:
        first = python("first")
        supervisor = bench.supervisor([first, python("broken", "raise SystemExit(1)", after=("first",), ready=never)])
        try:
            await supervisor.start_all()
        finally:
            started.extend(pids(supervisor))
            await supervisor.stop_all()

    async def never() -> bool:
        return False

    with pytest.raises(ServiceError):
        asyncio.run(scene())
    assert started
    assert not any(is_alive(pid) for pid in started)


def test_a_failed_preparation_names_the_service_and_the_reason(bench: Bench) -> None:
    async def fill_the_disk() -> None:
        raise OSError(28, "No space left on device", "data")

    with pytest.raises(ServiceError, match="database did not start: .*No space left on device: 'data'"):
        bench.run([python("database", prepare=fill_the_disk)], nothing)


def test_a_stranger_on_the_port_is_noticed_although_it_would_answer(bench: Bench, port: int) -> None:
    """The readiness question alone would be answered by whoever listens there."""
    asked = []

    async def ready() -> bool:
        asked.append(True)
        return True

    with (
        closing(socket.create_server(("127.0.0.1", port))),
        pytest.raises(ServiceError, match=rf"its port {port} is held by \S+ \(pid {os.getpid()}\), which is not of"),
    ):
        bench.run([python("server", ports=(port,), ready=ready)], nothing)
    assert not asked


def test_a_port_that_a_child_of_the_service_listens_on_is_the_services_own(bench: Bench, port: int) -> None:
    code = f"""
import os, socket, time
if os.fork() == 0:
    s = socket.create_server(("127.0.0.1", {port}))
time.sleep(60)
"""
    bench.run([python("server", code, ports=(port,))], nothing)


def test_readiness_is_asked_only_once_the_port_is_listened_on(bench: Bench, port: int) -> None:
    async def ready() -> bool:
        with socket.create_connection(("127.0.0.1", port)):
            return True

    bench.run([listener("server", port, ready=ready)], nothing)


def test_a_death_is_reported_with_the_last_lines_and_the_others_stay(bench: Bench) -> None:
    async def play(supervisor: Supervisor) -> None:
        (bench.folder / "die").touch()
        await until(lambda: states(supervisor)["mortal"] == "dead")
        assert states(supervisor)["other"] == "healthy"

    code = f"""
import pathlib, time
while not pathlib.Path({str(bench.folder / "die")!r}).exists():
    time.sleep(0.02)
print("my last words", flush=True)
raise SystemExit(7)
"""
    bench.run([python("mortal", code), python("other")], play)
    report = "\n".join(bench.reports)
    assert "mortal exited with code 7; its last lines" in report
    assert "\n  my last words" in report


def test_a_death_by_a_signal_is_called_so(bench: Bench) -> None:
    async def play(supervisor: Supervisor) -> None:
        os.kill(pids(supervisor)[0], signal.SIGKILL)
        await until(lambda: states(supervisor)["mortal"] == "dead")

    bench.run([python("mortal")], play)
    assert any("mortal was ended by SIGKILL" in report for report in bench.reports)


def test_stopping_goes_in_reverse_order(bench: Bench) -> None:
    log = bench.folder / "stops"
    code = f"""
import signal, time
def stop(*_):
    time.sleep(0.1)
    open({str(log)!r}, "a").write("{{name}} ")
    raise SystemExit
signal.signal(signal.SIGTERM, stop)
open({str(bench.folder)!r} + "/{{name}}.up", "w")
time.sleep(60)
"""

    def service(name: str, *after: str):
        async def ready() -> bool:
            return Path(bench.folder, f"{name}.up").exists()

        return python(name, code.replace("{name}", name), after=after, ready=ready)

    bench.run([service("database"), service("server", "database"), service("page", "server")], nothing)
    assert log.read_text().split() == ["page", "server", "database"]


def test_stopping_takes_the_children_too(bench: Bench) -> None:
    """Also those that ignore the signal and outlive their parent."""
    family: list[int] = []
    code = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    open({str(bench.folder / "child")!r}, "w").write(str(child))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
time.sleep(60)
"""

    async def play(supervisor: Supervisor) -> None:
        child = bench.folder / "child"
        await until(lambda: child.exists() and child.read_text() != "")
        family.extend([*pids(supervisor), int(child.read_text())])
        assert all(is_alive(pid) for pid in family)

    bench.run([python("parent", code)], play)
    assert not any(is_alive(pid) for pid in family)


def test_a_service_that_ignores_its_signal_is_killed_and_named(bench: Bench) -> None:
    async def play(supervisor: Supervisor) -> None:
        await until(lambda: bool((bench.folder / "deaf.log").read_text()))

    bench.run([python("deaf", DEAF, grace=0.2)], play)
    assert "deaf did not stop within 0.2 s and was killed" in bench.reports


def test_stopping_everything_keeps_its_time_whatever_the_services_do(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three deaf services in a row, each with more grace than there is time in all."""
    monkeypatch.setattr(supervisor_module, "STOP_WITHIN", 0.5)
    services = [
        python("a", DEAF, grace=30),
        python("b", DEAF, grace=30, after=("a",)),
        python("c", DEAF, grace=30, after=("b",)),
    ]
    found: list[int] = []
    began = 0.0

    async def play(supervisor: Supervisor) -> None:
        nonlocal began
        await until(lambda: all((bench.folder / f"{name}.log").read_text() for name in "abc"))
        found.extend(pids(supervisor))
        began = time.monotonic()

    bench.run(services, play)
    assert time.monotonic() - began < 5
    assert len(found) == 3
    assert not any(is_alive(pid) for pid in found)


def test_a_stopped_service_is_no_death_and_can_be_started_again(bench: Bench, port: int) -> None:
    async def play(supervisor: Supervisor) -> None:
        with pytest.raises(ServiceError, match="server is running already"):
            await supervisor.start("server")
        await supervisor.stop("server")
        assert states(supervisor)["server"] == "stopped"
        await supervisor.start("server")
        assert states(supervisor)["server"] == "healthy"

    bench.run([listener("server", port)], play)
    assert not any("server was ended" in report or "server exited" in report for report in bench.reports)


def test_of_two_starts_at_once_the_second_finds_the_service_running(bench: Bench) -> None:
    """Otherwise both would see it stopped while it is prepared, and one of its two processes would be forgotten."""
    log = bench.folder / "starts"

    async def slowly() -> None:
        await asyncio.sleep(0.2)
        with log.open("a") as starts:
            starts.write("prepared ")

    async def play(supervisor: Supervisor) -> None:
        await supervisor.stop("one")
        log.unlink()
        answers = await asyncio.gather(supervisor.start("one"), supervisor.start("one"), return_exceptions=True)
        assert [str(answer) for answer in answers] == ["None", "one is running already"]
        assert log.read_text().split() == ["prepared"]

    bench.run([python("one", prepare=slowly)], play)


def test_a_service_can_be_stopped_in_the_middle_of_its_start(bench: Bench) -> None:
    ready = asyncio.Event()
    ready.set()

    async def play(supervisor: Supervisor) -> None:
        await supervisor.stop("one")
        ready.clear()
        start = asyncio.create_task(supervisor.start("one"))
        await until(lambda: pids(supervisor) != [])
        (pid,) = pids(supervisor)
        await supervisor.stop("one")
        with pytest.raises(ServiceError, match="one was stopped while it started"):
            await start
        assert states(supervisor)["one"] == "stopped"
        assert not is_alive(pid)

    bench.run([python("one", ready=ready.wait)], play)


def test_nothing_starts_once_everything_is_being_stopped(bench: Bench) -> None:
    """Neither a start that is still preparing, nor one that waits for it, nor a later one."""
    prepared = asyncio.Event()
    prepared.set()

    async def prepare() -> None:
        await prepared.wait()

    async def play(supervisor: Supervisor) -> None:
        await supervisor.stop("one")
        prepared.clear()
        starts = [asyncio.create_task(supervisor.start("one")) for _ in range(2)]
        await until(lambda: states(supervisor)["one"] == "starting")
        await supervisor.stop_all()
        prepared.set()
        answers = await asyncio.gather(*starts, supervisor.start("one"), return_exceptions=True)
        assert [str(answer) for answer in answers] == [
            "one was stopped while it started",
            "the lab is stopping",
            "the lab is stopping",
        ]
        assert pids(supervisor) == []

    bench.run([python("one", prepare=prepare)], play)


def test_an_unknown_service_is_answered_with_those_there_are(bench: Bench) -> None:
    async def play(supervisor: Supervisor) -> None:
        with pytest.raises(ServiceError, match="there is no service postgers; there are: one, two"):
            await supervisor.stop("postgers")

    bench.run([python("one"), python("two")], play)


def test_a_service_sees_nothing_of_the_users_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AIRFLOW__… variable in somebody's shell must not change the lab."""
    monkeypatch.setenv("FROM_THE_SHELL", "1")

    async def play(supervisor: Supervisor) -> None:
        await until(lambda: bool((bench.folder / "one.log").read_text()))

    bench.run(
        [python("one", "import os; print(sorted(os.environ), flush=True); " + SLEEP, environment={"OWN": "1"})], play
    )
    seen = (bench.folder / "one.log").read_text()
    assert "OWN" in seen
    assert "BENCH" in seen
    assert "FROM_THE_SHELL" not in seen


def test_the_log_of_the_start_before_is_kept(bench: Bench) -> None:
    for number in (1, 2):

        async def play(supervisor: Supervisor) -> None:
            await until(lambda: bool((bench.folder / "one.log").read_text()))

        bench.run([python("one", f"print({number}, flush=True); " + SLEEP)], play)
    assert (bench.folder / "one.log").read_text() == "2\n"
    assert (bench.folder / "one.log.1").read_text() == "1\n"
