"""`python login_client.py postgres|flower SECRET FOLDER`: logs in again and again, without ever trying anything twice.

SECRET is a mounted Secret, read anew for each login. At first it logs in as fast as the machine can and writes that
rate to FOLDER/rate; from then on, and in every later pod, it goes at half of it. FOLDER/<pod>.jsonl gets one line a
second, and one when the pod ends: when it ended, how many logins were answered how, and how long the slowest took.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import requests

CALIBRATION = 4.0  # seconds


def read(secret: Path) -> dict[str, str]:
    """All keys of one version of the Secret: the kubelet swaps the link ..data, so it is followed once."""
    while True:
        version = (secret / "..data").resolve()
        try:
            return {file.name: file.read_text() for file in version.iterdir()}
        except FileNotFoundError:  # swapped meanwhile
            continue


async def postgres(secret: dict[str, str]) -> str:
    connection = await _connected(secret)
    await connection.close()
    return "accepted"


async def flower(secret: dict[str, str]) -> str:
    login = (secret["username"], secret["password"])
    answer = await asyncio.to_thread(requests.get, f"{secret['url']}/api/workers", auth=login, timeout=10)
    return {200: "accepted", 401: "refused 401"}.get(answer.status_code, f"error {answer.status_code}")


async def attempt(kind: str, secret: Path) -> str:
    """`accepted`, `refused <code>` or `error <what>`."""
    try:
        return await {"postgres": postgres, "flower": flower}[kind](read(secret))
    except asyncpg.PostgresError as error:
        return f"{'refused' if error.sqlstate in ('28000', '28P01') else 'error'} {error.sqlstate}"
    except (OSError, TimeoutError, asyncpg.InterfaceError, requests.RequestException) as error:
        return f"error {type(error).__name__}"


async def work(kind: str, secret: Path, folder: Path) -> None:
    rate = folder / "rate"
    if kind == "postgres":  # one that stays: the rotation waits until every consumer has a session of the new user
        _session = await _connected(read(secret))
    if not rate.exists():
        began, done = time.monotonic(), 0
        while time.monotonic() < began + CALIBRATION:
            await attempt(kind, secret)
            done += 1
        rate.write_text(str(done / CALIBRATION))
    pause = 2 / float(rate.read_text())
    with (folder / f"{os.environ['POD_NAME']}.jsonl").open("a", buffering=1) as lines:
        following = time.monotonic()
        while True:
            answers, slowest, second = Counter[str](), 0.0, time.time()
            try:
                while time.time() < second + 1:
                    began = time.monotonic()
                    answers[await attempt(kind, secret)] += 1
                    slowest = max(slowest, time.monotonic() - began)
                    following = max(following + pause, time.monotonic() - 1)  # a stall is not caught up for ever
                    await asyncio.sleep(following - time.monotonic())
            finally:  # the last second of a pod counts too: it is the one in which others have moved on
                lines.write(json.dumps({"end": time.time(), "answers": answers, "slowest": slowest}) + "\n")


async def _connected(secret: dict[str, str]) -> Any:
    return await asyncpg.connect(
        host=secret["PGHOST"],
        port=int(secret["PGPORT"]),
        database=secret["PGDATABASE"],
        user=secret["PGUSER"],
        password=secret["PGPASSWORD"],
        timeout=10,
        ssl=False,  # otherwise most of a login is reading the authorities for a TLS that the server does not offer
        server_settings={"application_name": os.environ["POD_NAME"]},
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(work(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
