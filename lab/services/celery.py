"""The Celery profile: a worker, and the two Flowers of the roadmap (namespaces celery and financial-screener)."""

import asyncio
import functools
import sys

import aiohttp

from lab import credentials, files
from lab.layout import Lab
from lab.services import valkey
from lab.supervisor.service import Service

FLOWERS = {"flower-celery": "flower_celery", "flower-financial-screener": "flower_financial_screener"}
CELERY = (sys.executable, "-m", "celery", "-A", "lab.celery_app")
WORKER = "celery@lab"


def services(lab: Lab) -> list[Service]:
    """Broker, worker and Flowers."""
    return [valkey.service(lab), worker(lab), *(flower(lab, name) for name in FLOWERS)]


def worker(lab: Lab) -> Service:
    """One worker process; ready when it answers a ping through the broker."""
    return Service(
        name="celery-worker",
        command=(*CELERY, "worker", "--concurrency", "1", "--hostname", WORKER, "--without-gossip"),
        environment={"CELERY_BROKER_URL": valkey.url(lab)},
        after=("valkey",),
        ready=lambda: asyncio.to_thread(_answers, valkey.url(lab)),
    )


def flower(lab: Lab, name: str) -> Service:
    """A Flower behind basic auth, its password in a configuration file; ready when it lets exactly that login in."""
    config = lab.data(name) / "flowerconfig.py"
    port = lab.ports.of(name)

    async def prepare() -> None:
        config.parent.mkdir(parents=True, exist_ok=True)
        user, password = login(lab, name)
        files.write(config, f"basic_auth = [{f'{user}:{password}'!r}]\n")

    return Service(
        name=name,
        command=(*CELERY, "flower", "--address=127.0.0.1", f"--port={port}", f"--conf={config}"),
        environment={"CELERY_BROKER_URL": valkey.url(lab)},
        after=("celery-worker",),
        ports=(port,),
        prepare=prepare,
        ready=functools.partial(_lets_in, f"http://127.0.0.1:{port}/api/workers", *login(lab, name)),
    )


def login(lab: Lab, name: str) -> tuple[str, str]:
    """User name and password of a Flower."""
    credential_id = FLOWERS[name]
    return credentials.USERS[credential_id], credentials.read(lab.credentials, credential_id)


def _answers(broker: str) -> bool:
    # Imported here because only this profile needs the half second that it takes.
    from celery import Celery  # type: ignore[import-untyped]
    from kombu.exceptions import OperationalError  # type: ignore[import-untyped]

    try:
        answers = Celery("probe", broker=broker).control.ping(destination=[WORKER], timeout=1)
    except OperationalError:
        return False
    return bool(answers == [{WORKER: {"ok": "pong"}}])


async def _lets_in(url: str, user: str, password: str) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(url, auth=aiohttp.BasicAuth(user, password)) as right,
            session.get(url) as without,
        ):
            return (right.status, without.status) == (200, 401)
    except (aiohttp.ClientError, TimeoutError):
        return False
