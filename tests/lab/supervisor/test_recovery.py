"""What a supervisor that was killed leaves behind, and how the next start finds and ends it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab.errors import LabError
from lab.layout import PROJECT
from lab.supervisor import lock
from lab.supervisor.sessions import Ledger
from tests.lab.supervisor.bench import is_alive

# A service with a child, both deaf to the signal that the kernel sends when the supervisor dies.
FAMILY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    open("family", "w").write(f"{os.getpid()} {child}")
time.sleep(60)
"""
SUPERVISOR = f"""
import asyncio, os
from pathlib import Path
from lab.supervisor import lock
from lab.supervisor.sessions import Ledger
from lab.supervisor.supervisor import Supervisor
from tests.lab.supervisor.bench import python

async def main():
    folder = Path(".")
    with lock.held(folder / "lock"):
        service = python("family", {FAMILY!r})
        supervisor = Supervisor([service], environment={{}}, log=folder, ledger=Ledger(folder / "s.json"), report=print)
        await supervisor.start_all()
        await asyncio.sleep(60)

asyncio.run(main())
"""


def session(folder: Path) -> subprocess.Popen[bytes]:
    """A process in a session of its own, as a service is."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    return subprocess.Popen((sys.executable, "-I", "-S", "-c", code), cwd=folder, start_new_session=True)


def test_what_a_killed_supervisor_left_is_ended_by_the_next_start(tmp_path: Path) -> None:
    supervisor = subprocess.Popen((sys.executable, "-c", SUPERVISOR), cwd=tmp_path, env={"PYTHONPATH": str(PROJECT)})
    family = tmp_path / "family"
    deadline = time.monotonic() + 20
    while not (family.exists() and len(family.read_text().split()) == 2 and (tmp_path / "s.json").exists()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    members = [int(pid) for pid in family.read_text().split()]
    assert all(is_alive(pid) for pid in members)
    with lock.held(tmp_path / "lock"):
        assert Ledger(tmp_path / "s.json").sweep() == ["family"]
    assert not any(is_alive(pid) for pid in members)
    assert Ledger(tmp_path / "s.json").sweep() == []


def test_the_children_of_a_dead_service_are_ended_too(tmp_path: Path) -> None:
    leader = subprocess.Popen((sys.executable, "-I", "-S", "-c", FAMILY), cwd=tmp_path, start_new_session=True)
    ledger = Ledger(tmp_path / "sessions.json")
    ledger.add("family", leader.pid)
    family = tmp_path / "family"
    while not (family.exists() and len(family.read_text().split()) == 2):
        time.sleep(0.02)
    child = int(family.read_text().split()[1])
    leader.kill()
    leader.wait()
    assert is_alive(child)
    assert ledger.sweep() == ["family"]
    assert not is_alive(child)


@pytest.mark.parametrize(
    "forged",
    [{"started": 1000.0}, {"booted": 1000.0}],
    ids=["started at another time", "recorded before the machine booted anew"],
)
def test_a_process_that_only_has_the_same_number_is_left_alone(tmp_path: Path, forged: dict[str, float]) -> None:
    """Numbers are given away again; killing by number alone would one day hit a stranger."""
    stranger = session(tmp_path)
    try:
        Ledger(tmp_path / "sessions.json").add("service", stranger.pid)
        entries = json.loads((tmp_path / "sessions.json").read_text())
        (tmp_path / "sessions.json").write_text(json.dumps([entries[0] | forged]))
        assert Ledger(tmp_path / "sessions.json").sweep() == []
        assert is_alive(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait()


def test_a_damaged_ledger_is_named_in_one_sentence(tmp_path: Path) -> None:
    """Going on without it would leave behind what a killed lab left running."""
    (tmp_path / "sessions.json").write_text('[{"name": "post')
    with pytest.raises(LabError, match=rf"^{tmp_path}/sessions.json is damaged .* remove the file\.$"):
        Ledger(tmp_path / "sessions.json")


def test_a_service_learns_of_its_supervisors_death_at_once(tmp_path: Path) -> None:
    """Where the kernel can tell it; elsewhere the next start's sweep has to do."""
    code = SUPERVISOR.replace("SIG_IGN", "SIG_DFL")
    supervisor = subprocess.Popen(
        (sys.executable, "-c", code), cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PROJECT)}
    )
    family = tmp_path / "family"
    while not (family.exists() and len(family.read_text().split()) == 2):
        time.sleep(0.02)
    leader, child = (int(pid) for pid in family.read_text().split())
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    psutil.wait_procs([psutil.Process(leader)] if psutil.pid_exists(leader) else [], timeout=5)
    gone = not is_alive(leader)
    os.kill(child, signal.SIGKILL)
    assert gone


def test_two_supervisors_cannot_hold_one_lab(tmp_path: Path) -> None:
    with lock.held(tmp_path / "lock"), pytest.raises(lock.HeldError), lock.held(tmp_path / "lock"):
        pass


def test_the_lock_of_a_killed_supervisor_is_free(tmp_path: Path) -> None:
    code = """
import time
from pathlib import Path
from lab.supervisor import lock

with lock.held(Path("lock")):
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen(
        (sys.executable, "-c", code), cwd=tmp_path, env={"PYTHONPATH": str(PROJECT)}, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(lock.HeldError), lock.held(tmp_path / "lock"):
        pass
    holder.kill()
    holder.wait()
    with lock.held(tmp_path / "lock"):
        pass
