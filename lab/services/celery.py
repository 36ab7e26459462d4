"""The Celery profile: a worker for the Flowers to show, which are pods (namespaces celery and financial-screener)."""

import asyncio
import sys

from lab.layout import Lab
from lab.services import valkey
from lab.supervisor.service import Service

WORKER = "celery@lab"


def worker(lab: Lab) -> Service:
    """One worker process; ready when it answers a ping through the broker."""
    return Service(
        name="celery-worker",
        command=(
            *(sys.executable, "-m", "celery", "-A", "lab.celery_app", "worker"),
            *("--concurrency", "1", "--hostname", WORKER, "--without-gossip"),
        ),
        environment={"CELERY_BROKER_URL": valkey.url(lab)},
        after=("valkey",),
        ready=lambda: asyncio.to_thread(_answers, valkey.url(lab)),
    )


def _answers(broker: str) -> bool:
    # Imported here because only this profile needs the half second that it takes.
    from celery import Celery  # type: ignore[import-untyped]
    from kombu.exceptions import OperationalError  # type: ignore[import-untyped]

    try:
        answers = Celery("probe", broker=broker).control.ping(destination=[WORKER], timeout=1)
    except OperationalError:
        return False
    return bool(answers == [{WORKER: {"ok": "pong"}}])
