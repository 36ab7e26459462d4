"""The Celery profile: Valkey, a worker, two Flowers."""

import asyncio
from functools import partial

import aiohttp
import psutil
import pytest
import valkey

from lab import credentials
from lab.layout import Lab
from lab.services import celery
from lab.services import valkey as valkey_service
from lab.supervisor.supervisor import Supervisor
from tests.lab.services.stage import run


async def status(url: str, user: str, password: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url, auth=aiohttp.BasicAuth(user, password)) as answer:
        return answer.status


def test_the_broker_refuses_who_has_no_password(lab: Lab) -> None:
    async def play(_: Supervisor) -> None:
        stranger = valkey.Valkey(port=lab.ports.of("valkey"))
        with pytest.raises(valkey.AuthenticationError):
            await asyncio.to_thread(stranger.ping)

    run(lab, [valkey_service.service(lab)], play)


def test_a_task_travels_to_the_worker_and_each_flower_lets_only_its_own_login_in(lab: Lab) -> None:
    """One start for all of it: worker and Flowers take seconds each."""

    async def play(supervisor: Supervisor) -> None:
        assert await asyncio.to_thread(partial(_send, lab)) == 5
        for name in celery.FLOWERS:
            url = f"http://127.0.0.1:{lab.ports.of(name)}/api/workers"
            user, password = celery.login(lab, name)
            assert await status(url, user, password) == 200
            assert await status(url, user, "wrong") == 401
        _, other = celery.login(lab, "flower-financial-screener")
        assert await status(f"http://127.0.0.1:{lab.ports.of('flower-celery')}/", "admin", other) == 401
        _assert_no_secret_is_shown(lab, supervisor)

    run(lab, celery.services(lab), play)


def _send(lab: Lab) -> int:
    from celery import Celery

    app = Celery("test", broker=valkey_service.url(lab), backend=valkey_service.url(lab))
    result: int = app.send_task("lab.celery_app.add", (2, 3)).get(timeout=20)
    return result


def _assert_no_secret_is_shown(lab: Lab, supervisor: Supervisor) -> None:
    shown = "".join(file.read_text() for file in lab.log.iterdir())
    for entry in supervisor.status():
        shown += " ".join(psutil.Process(entry["pid"]).cmdline())
    for name in ("valkey", "flower_celery", "flower_financial_screener"):
        assert credentials.read(lab.credentials, name) not in shown
