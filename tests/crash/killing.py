"""Kills a task's own process at a chosen moment. It runs inside the Airflow of a test's lab and nowhere else.

The lab's AIRFLOW_HOME gets a config/airflow_local_settings.py that imports `task_policy`, which Airflow calls for every
task of a DAG that it reads; in the process that is going to run one of them, the parsing context names it. An order
stands in AIRFLOW_HOME/kill/<task>.json and is used up by the first process that carries it out.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

START, MIDDLE, AFTER = "at its start", "in the middle of", "after, reply lost"
# What a task's process changes outside of itself: the call that does it.
WRITES = {
    "effect": ("infra_ops.clients.effects", "Effects", "_perform"),
    "Lease": ("infra_ops.clients.lease", "ChangeLease", "_write"),
    "evidence": ("infra_ops.clients.evidence", "Evidence", "add"),
    "XCom": ("airflow.sdk.execution_time.task_runner", "RuntimeTaskInstance", "xcom_push"),
}
VERBS = (b"POST ", b"PUT ", b"PATCH ", b"DELETE ")
SETTINGS = "from tests.crash.killing import task_policy\n"


def install(home: Path) -> None:
    """Make the Airflow that will live at `home` read this module."""
    (home / "config").mkdir(parents=True)
    (home / "config" / "airflow_local_settings.py").write_text(SETTINGS)
    (home / "kill").mkdir()


def order(home: Path, task: str, moment: str, write: str, number: int) -> None:
    """The next process of `task` dies at that moment of its `number`th `write` (a key of WRITES)."""
    unfinished = home / "kill.new"
    unfinished.write_text(json.dumps([moment, write, number]))
    unfinished.rename(home / "kill" / f"{task}.json")


def withdraw(home: Path) -> None:
    """All orders that nobody has carried out."""
    for order in (home / "kill").iterdir():
        order.unlink()


def carried_out(home: Path) -> bool:
    """Whether all orders have been used up."""
    return not any((home / "kill").iterdir())


def task_policy(task: Any) -> None:
    """Airflow calls this for every task that it reads, in every process."""
    from airflow.sdk import get_parsing_context

    if get_parsing_context().task_id != task.task_id:
        return
    order = Path(os.environ["AIRFLOW_HOME"], "kill", f"{task.task_id}.json")
    try:
        moment, write, number = json.loads(order.read_text())
    except FileNotFoundError:
        return

    def die() -> None:
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == START:
        die()
    module, kind, method = WRITES[write]
    owner = getattr(import_module(module), kind)
    setattr(owner, method, _deadly(getattr(owner, method), moment, number, die))


def _deadly(write: Callable[..., Any], moment: str, number: int, die: Callable[[], None]) -> Callable[..., Any]:
    count = 0

    def instead(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count != number:
            return write(*arguments, **named)
        if moment == MIDDLE:
            _die_while_sending(die)
            if write.__name__ == "xcom_push":  # it goes to the supervising process as one message
                die()
        write(*arguments, **named)
        return die()

    return instead


def _die_while_sending(die: Callable[[], None]) -> None:
    """From now on half a request is all that a server gets, and a transaction gets no commit."""
    for kind in (socket.socket, ssl.SSLSocket):
        send: Callable[..., int] = kind.send

        def dying(self: Any, data: Any, *flags: Any, send: Callable[..., int] = send) -> int:
            if b"COMMIT" in bytes(data[:64]):
                die()
            sent = send(self, data, *flags)
            if bytes(data[:8]).startswith(VERBS):  # the header; its body would be sent next
                die()
            return sent

        kind.send = dying  # type: ignore[method-assign]
