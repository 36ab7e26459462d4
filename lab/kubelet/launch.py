"""From a container's spec to the command that is to run: its image, environment, mounts and working folder."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from lab.kube import Object
from lab.kubelet.enclosures import Command, Place, finds
from lab.kubelet.environment import argv_of, environment_of
from lab.kubelet.images import canonical
from lab.kubelet.runtime import Runtime
from lab.kubelet.volumes import Volumes


class ImageError(Exception):
    """An image cannot be had; `reason` is what the container's status shows."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StartError(Exception):
    """The container's command cannot be executed."""


async def prepare(runtime: Runtime, pod: Object, spec: Object, volumes: Volumes, folder: Path) -> tuple[Place, Command]:
    """What to run and where; makes the container's home in `folder` anew.

    Raises ImageError, MissingReferenceError or VolumeError while something is not there, StartError if it never will.
    """
    image = runtime.images.find(spec["image"])
    if image is None:
        raise _no_such_image(spec)
    base = runtime.environment_of(pod) | dict(image.environment)
    variables = await environment_of(runtime.kube, pod, spec, base)
    mounts = volumes.mounts(spec, variables)
    home = folder / "home"
    if home.exists():
        await asyncio.to_thread(shutil.rmtree, home)
    home.mkdir(parents=True)
    place = Place(tuple(mounts), home, variables["HOSTNAME"], runtime.kube.server)
    argv = tuple(argv_of(spec, image, variables))
    command = Command(argv, runtime.marked(variables), spec.get("workingDir") or "")
    _check(place, command)
    return place, command


def _no_such_image(spec: Object) -> ImageError:
    image = spec["image"]
    if spec.get("imagePullPolicy") == "Never":
        message = f'Container image "{image}" is not present with pull policy of Never'
        return ImageError("ErrImageNeverPull", message)
    full = canonical(image)
    return ImageError(
        "ErrImagePull",
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{full}": '
        f'failed to resolve reference "{full}": {full}: not found',
    )


def _check(place: Place, command: Command) -> None:
    if not command.argv:
        raise StartError("no command specified")
    if not finds(place, command):
        where = "no such file or directory" if "/" in command.argv[0] else "executable file not found in $PATH"
        raise StartError(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create "
            f'failed: unable to start container process: error during container init: exec: "{command.argv[0]}": '
            f"{where}: unknown"
        )
