"""Beside a real controller manager the lab's controllers keep still."""

import asyncio
from pathlib import Path

from lab.controllers.rival import is_managed
from lab.controllers.serviceaccounts import run
from lab.kube import Kube
from tests.lab.servers import ApiServer


def test_a_server_without_controllers_is_told_from_one_with(tmp_path: Path) -> None:
    """Whoever gives a new namespace its default service account is a controller manager."""

    async def look() -> tuple[bool, bool]:
        async with Kube(server.kubeconfig) as kube:
            alone = await is_managed(kube, patience=0.5)
            manager = asyncio.create_task(run(kube, "a certificate"))
            try:
                return alone, await is_managed(kube, patience=20)
            finally:
                manager.cancel()

    with ApiServer(tmp_path) as server:
        assert asyncio.run(look()) == (False, True)
