"""Starts the lab in the background and returns when it is healthy."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from lab.desk import control_socket
from lab.supervisor import control
from lab.wish import Wish


def run(wish: Wish, report: Callable[[str], None]) -> int:
    """Start the lab, pass on what it reports, and return 0 once it is up or its exit code if it gives up."""
    wish.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = wish.root / "lab.log"
    with log.open("ab") as output:
        began = output.seek(0, 2)
        process = subprocess.Popen(
            (sys.executable, "-m", "lab", *_arguments(wish)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with log.open("rb") as written:
        written.seek(began)
        while True:
            ended, up = process.poll() is not None, _is_up(wish, process.pid)
            for line in new_lines(written, ended=ended):
                report(line)
            if ended:
                return process.returncode or 1
            if up:
                return 0
            time.sleep(0.2)


def new_lines(written: BinaryIO, *, ended: bool) -> Iterator[str]:
    """The lines that are complete since the last call. The last one may lack its end once the writer has ended."""
    while line := written.readline():
        if not line.endswith(b"\n") and not ended:
            written.seek(-len(line), os.SEEK_CUR)
            return
        yield line.decode(errors="replace").rstrip("\n")


def _is_up(wish: Wish, pid: int) -> bool:
    try:
        reply = control.ask(control_socket(wish.root), {"do": "phase"})
    except control.NobodyError:
        return False
    return bool(reply == {"phase": "up", "pid": pid})


def _arguments(wish: Wish) -> list[str]:
    arguments = ["up", "--root", str(wish.root)]
    arguments += ["--executor", wish.executor]
    if wish.celery:
        arguments += ["--with", "celery"]
    if not wish.airflow:
        arguments += ["--without", "airflow"]
    if wish.kubeconfig:
        arguments += ["--kubeconfig", str(wish.kubeconfig)]
    if wish.disposable:
        arguments += ["--disposable"]
    return arguments
