"""Refreshing volumes, with a stand-in for the API server."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from lab.kube import ApiError
from lab.kubelet.volumes import VolumeError, Volumes

POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u"},
    "spec": {
        "volumes": [
            {"name": "first", "secret": {"secretName": "first"}},
            {"name": "second", "secret": {"secretName": "second"}},
        ]
    },
}


class Secrets:
    """Stands in for the API server: the Secrets that exist, by name."""

    def __init__(self, **values: str) -> None:
        self.values = values

    async def request(self, method: str, path: str) -> dict[str, Any]:
        name = path.rpartition("/")[2]
        if name not in self.values:
            raise ApiError(404, "NotFound", f'secrets "{name}" not found')
        return {"kind": "Secret", "data": {"value": base64.b64encode(self.values[name].encode()).decode()}}


@pytest.fixture
def secrets() -> Secrets:
    return Secrets(first="1", second="2")


@pytest.fixture
def volumes(secrets: Secrets, tmp_path: Path) -> Volumes:
    return Volumes(secrets, POD, folder=tmp_path, claims=tmp_path / "claims", node=tmp_path / "node", lag=0)


def test_a_deleted_secret_stays_mounted_and_does_not_hold_up_the_others(
    secrets: Secrets, volumes: Volumes, tmp_path: Path
) -> None:
    asyncio.run(volumes.mount())
    del secrets.values["first"]
    secrets.values["second"] = "new"
    with pytest.raises(VolumeError, match='volume "first" : secret "first" not found'):
        asyncio.run(volumes.mount())
    assert (tmp_path / "volumes/first/value").read_text() == "1"
    assert (tmp_path / "volumes/second/value").read_text() == "new"


def test_a_change_shows_after_the_lag_and_not_before(secrets: Secrets, tmp_path: Path) -> None:
    volumes = Volumes(secrets, POD, folder=tmp_path, claims=tmp_path, node=tmp_path, lag=0.3)
    file = tmp_path / "volumes/first/value"

    async def shown() -> tuple[str, str]:
        await volumes.mount()
        fresh = asyncio.create_task(volumes.keep_fresh())
        secrets.values["first"] = "new"
        volumes.invalidate("Secret", "first")
        await asyncio.sleep(0.1)
        early = file.read_text()
        await asyncio.sleep(0.9)
        fresh.cancel()
        return early, file.read_text()

    assert asyncio.run(shown()) == ("1", "new")


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b"])
def test_a_sub_path_cannot_leave_its_volume(volumes: Volumes, path: str) -> None:
    asyncio.run(volumes.mount())
    container = {"name": "c", "volumeMounts": [{"name": "first", "mountPath": "/x", "subPath": path}]}
    with pytest.raises(VolumeError, match="leads out of the volume"):
        volumes.mounts(container, {})


@pytest.mark.parametrize(("kind", "problem"), [("Directory", "is not a directory"), ("File", "is not a file")])
def test_a_host_path_of_the_wrong_type_is_not_mounted(tmp_path: Path, kind: str, problem: str) -> None:
    source = {"name": "host", "hostPath": {"path": "/no/such", "type": kind}}
    pod = {**POD, "spec": {"volumes": [source]}}
    volumes = Volumes(Secrets(), pod, folder=tmp_path, claims=tmp_path, node=tmp_path, lag=0)
    with pytest.raises(VolumeError, match=f"hostPath type check failed: /no/such {problem}"):
        asyncio.run(volumes.mount())
