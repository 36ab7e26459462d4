"""The broker, and the Celery profile's worker."""

import asyncio
from functools import partial

import psutil
import pytest
import valkey

from lab import credentials
from lab.layout import Lab
from lab.services import celery
from lab.services import valkey as valkey_service
from lab.supervisor.supervisor import Supervisor
from tests.lab.services.stage import run


def test_the_broker_refuses_who_has_no_password(lab: Lab) -> None:
    async def play(_: Supervisor) -> None:
        stranger = valkey.Valkey(port=lab.ports.of("valkey"))
        with pytest.raises(valkey.AuthenticationError):
            await asyncio.to_thread(stranger.ping)

    run(lab, [valkey_service.service(lab)], play)


def test_a_task_travels_to_the_worker_and_its_result_back(lab: Lab) -> None:
    async def play(supervisor: Supervisor) -> None:
        assert await asyncio.to_thread(partial(_send, lab)) == 5
        _assert_no_secret_is_shown(lab, supervisor)

    run(lab, [valkey_service.service(lab), celery.worker(lab)], play)


def _send(lab: Lab) -> int:
    from celery import Celery

    app = Celery("test", broker=valkey_service.url(lab), backend=valkey_service.url(lab))
    result: int = app.send_task("lab.celery_app.add", (2, 3)).get(timeout=20)
    return result


def _assert_no_secret_is_shown(lab: Lab, supervisor: Supervisor) -> None:
    shown = "".join(file.read_text() for file in lab.log.iterdir())
    for entry in supervisor.status():
        shown += " ".join(psutil.Process(entry["pid"]).cmdline())
    assert credentials.read(lab.credentials, "valkey") not in shown
