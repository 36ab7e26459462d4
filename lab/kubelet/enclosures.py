"""How a container's command gets its own file paths and processes: two ways with one interface.

`Namespaces` is exact. `Rewriting` serves machines that refuse unprivileged namespaces: it replaces the mount paths in
command, arguments and environment by the real ones, so programs with a path built in do not find their files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from lab import files, sandbox

SERVICE_ACCOUNT = PurePosixPath("/var/run/secrets/kubernetes.io/serviceaccount")
_HOME = PurePosixPath("/root")
_LONGEST_HOST_NAME = 63


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine and where the container sees it."""

    real: Path
    inside: PurePosixPath
    read_only: bool = False


@dataclass(frozen=True)
class Command:
    """What to execute where; an empty `cwd` is the container's home folder."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str = ""


@dataclass(frozen=True)
class Place:
    """What an enclosure is made of: the mounts, a writable home folder, the host name, and the API server's address."""

    mounts: tuple[Mount, ...]
    home: Path
    hostname: str
    server: str


class Enclosure(Protocol):
    """Translates a container's commands into commands of this machine."""

    def starting(self, command: Command) -> Command:
        """The command that starts the container's first process in a session of its own."""

    def entering(self, pid: int, command: Command) -> Command:
        """The command that runs beside the process that was started as `pid` (exec, probes)."""

    def is_ready(self, pid: int) -> bool:
        """Whether the started process may be entered and signalled."""

    def first_process(self, pid: int) -> int:
        """The id, on this machine, of the process that signals are for; raises ProcessLookupError if it has ended."""


def enclosure(place: Place, *, namespaces: bool) -> Enclosure:
    """The enclosure for one container."""
    return Namespaces(place) if namespaces else Rewriting(place)


def finds(place: Place, command: Command) -> bool:
    """Whether the program that a command names exists, looked for as a container runtime would."""
    program, search = command.argv[0], command.environment.get("PATH", os.defpath)
    if "/" not in program:
        return shutil.which(program, path=search) is not None
    return os.access(real_path(place.mounts, program), os.X_OK)


def real_path(mounts: Sequence[Mount], path: str) -> Path:
    """Where on this machine a path of the container lies."""
    for mount in sorted(mounts, key=lambda mount: len(mount.inside.parts), reverse=True):
        if PurePosixPath(path).is_relative_to(mount.inside):
            return mount.real / PurePosixPath(path).relative_to(mount.inside)
    return Path(path)


class Namespaces:
    """The container has its mounts, processes and host name for itself (lab/sandbox.py)."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def starting(self, command: Command) -> Command:
        mounts = [Mount(self._place.home, _HOME), *self._place.mounts]
        cwd = PurePosixPath(command.cwd or _HOME)
        if not real_path(mounts, str(cwd)).exists():  # a container runtime makes a missing working folder
            (self._place.home.parent / "cwd").mkdir(exist_ok=True)
            mounts.append(Mount(self._place.home.parent / "cwd", cwd))
        box = sandbox.Sandbox(
            binds=tuple((mount.real, mount.inside) for mount in mounts if not mount.read_only),
            read_only=tuple((mount.real, mount.inside) for mount in mounts if mount.read_only),
            hostname=self._place.hostname[:_LONGEST_HOST_NAME],
            cwd=cwd,
        )
        return Command(tuple(box.wrap(command.argv)), {"HOME": str(_HOME), **command.environment})

    def entering(self, pid: int, command: Command) -> Command:
        argv = sandbox.enter(pid, command.argv, PurePosixPath(command.cwd or _HOME))
        return Command(tuple(argv), {"HOME": str(_HOME), **command.environment})

    def is_ready(self, pid: int) -> bool:
        return sandbox.is_ready(pid)

    def first_process(self, pid: int) -> int:
        # The started process only waits for its one child, which is process 1 inside.
        try:
            return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        except (OSError, IndexError) as error:
            raise ProcessLookupError(f"the container started as process {pid} has ended") from error


class Rewriting:
    """The container shares the machine's files and processes; its mount paths are replaced by the real ones."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._real = {str(mount.inside): str(mount.real) for mount in place.mounts}
        longest_first = sorted(self._real, key=len, reverse=True)
        # A mount path counts only as a whole path or its beginning: /data, not /data2 and not /srv/data.
        alternatives = "|".join(map(re.escape, longest_first)) or "(?!)"
        self._mounted = re.compile(rf"(?<![\w./-])(?:{alternatives})(?![\w.-])")

    def starting(self, command: Command) -> Command:
        return self._rewritten(command)

    def entering(self, pid: int, command: Command) -> Command:
        rewritten = self._rewritten(command)
        return replace(rewritten, environment={**rewritten.environment, "LAB_CONTAINER_SESSION": str(pid)})

    def is_ready(self, pid: int) -> bool:
        return True

    def first_process(self, pid: int) -> int:
        return pid

    def _rewritten(self, command: Command) -> Command:
        home = self._place.home
        environment = {"HOME": str(home), **{name: self._rewrite(value) for name, value in command.environment.items()}}
        environment["PATH"] = f"{self._tools()}:{environment.get('PATH', os.defpath)}"
        if str(SERVICE_ACCOUNT) in self._real and "KUBECONFIG" not in environment:
            environment["KUBECONFIG"] = str(self._kubeconfig())
        argv = tuple(self._rewrite(word) for word in command.argv)
        if shutil.which("setpriv"):  # Linux: the process dies with the kubelet
            argv = ("setpriv", "--pdeathsig", "KILL", "--", *argv)
        cwd = real_path(self._place.mounts, command.cwd) if command.cwd else home
        return Command(argv, environment, str(cwd if cwd.is_dir() else home))

    def _rewrite(self, text: str) -> str:
        return self._mounted.sub(lambda match: self._real[match[0]], text)

    def _tools(self) -> Path:
        """A folder with pgrep and pkill that see only the container's own session.

        Without it `kill $(pgrep -f sh)`, with which KubernetesPodOperator ends its side-car, would reach every shell of
        whoever runs the lab.
        """
        folder = self._place.home.parent / "tools"
        folder.mkdir(exist_ok=True)
        for name in ("pgrep", "pkill"):
            real = shutil.which(name)
            if real:
                script = f'#!/bin/sh\nexec {real} --session "${{LAB_CONTAINER_SESSION:-0}}" "$@"\n'
                files.write(folder / name, script, mode=0o700)
        return folder

    def _kubeconfig(self) -> Path:
        """What stands in for the in-cluster configuration, whose paths are built into every client."""
        account = self._real[str(SERVICE_ACCOUNT)]
        path = self._place.home.parent / "kubeconfig"
        cluster = {"server": self._place.server, "certificate-authority": f"{account}/ca.crt"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"tokenFile": f"{account}/token"}}],
            "contexts": [{"name": "pod", "context": {"cluster": "lab", "user": "pod"}}],
            "current-context": "pod",
        }
        files.write(path, json.dumps(config))
        return path
