"""The processes of one lab: every service leads a session, and the ledger proves later which sessions were ours.

A service's children may outlive it, and a supervisor that was killed leaves everything behind. A process is ours when
it is in a recorded session: session numbers are process numbers, which the kernel gives away again only after the last
member of the session has gone, so within one boot it is enough that the leader's start time still fits or the leader
is dead.
"""

import json
import os
import signal
from pathlib import Path
from typing import TypedDict

import psutil

from lab import files
from lab.errors import LabError


class Entry(TypedDict):
    """One session: its leader's number and start time (seconds since the epoch), and when the machine had booted."""

    name: str
    pid: int
    started: float
    booted: float


class Ledger:
    """The sessions that this lab started, in a file that survives the supervisor."""

    def __init__(self, path: Path) -> None:
        """Raises LabError when the file is damaged."""
        self._path = path
        try:
            self._entries: list[Entry] = json.loads(path.read_text()) if path.exists() else []
        except ValueError as error:
            raise LabError(
                f"{path} is damaged ({error}), so what a killed lab left running cannot be told: "
                "end that by hand, if there is any, and remove the file."
            ) from None

    def add(self, name: str, pid: int) -> None:
        """Record a session as soon as its leader runs. A leader that has died already leaves nothing to record."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return
        self._entries.append(Entry(name=name, pid=pid, started=started, booted=psutil.boot_time()))
        self._save()

    def sweep(self) -> list[str]:
        """Kill what is left of the recorded sessions and forget them; returns the names of those with survivors."""
        found = []
        for entry in self._entries:
            if self._is_ours(entry) and kill(entry["pid"]):
                found.append(entry["name"])
        self._entries = []
        self._save()
        return found

    def _save(self) -> None:
        files.write(self._path, json.dumps(self._entries))

    @staticmethod
    def _is_ours(entry: Entry) -> bool:
        if abs(entry["booted"] - psutil.boot_time()) > 5:  # clock corrections move the boot time a little
            return False
        try:
            return abs(psutil.Process(entry["pid"]).create_time() - entry["started"]) < 1
        except psutil.NoSuchProcess:
            return True


def members(session: int) -> list[psutil.Process]:
    """The living processes of a session (zombies are not)."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue  # gone meanwhile, or another user's
    return found


def kill(session: int) -> bool:
    """SIGKILL every process of a session until none is left. True if there was any."""
    victims = members(session)
    found = bool(victims)
    while victims:
        for process in victims:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(victims, timeout=1)
        victims = members(session)
    return found


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def memory(session: int) -> int:
    """The proportional memory (PSS) in bytes of a session's processes and of all that its leader started in other
    sessions, such as pods; resident memory where PSS cannot be read.
    """
    total = 0
    for process in {*members(session), *_descendants(session)}:
        try:
            details = process.memory_full_info()
            total += int(getattr(details, "pss", 0) or details.rss)
        except psutil.AccessDenied:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
