"""Runs a command with a file tree, process table and host name of its own, without being root.

Linux only: unprivileged user, mount, UTS and PID namespaces (Linux 5.12), made by util-linux' setpriv, unshare and
nsenter. Inside, the host's tree is visible but read-only, /tmp, /dev/shm and /proc are fresh, and every bind mount of
the caller is where it asked for it, whether or not the host has that path. The network is the host's.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_INIT = Path(__file__).with_name("sandbox_init.py")
# What the lab's own programs are made of stays visible, also below a folder that is covered inside.
_OWN_FILES = {
    str(path)
    for folder in (Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parent.parent)
    for path in (folder, folder.resolve())  # an environment reached by a symbolic link needs both
}
_COVERED = (PurePosixPath("/tmp"), PurePosixPath("/dev/shm"))  # noqa: S108 (where the sandbox has its own)
Bind = tuple[Path, PurePosixPath]  # (real path of a folder or file, path inside)
_TOP = PurePosixPath("/")


@dataclass(frozen=True)
class Sandbox:
    """Where a command of a pod or node runs.

    The started process is util-linux' unshare, which waits for the command (process 1 inside) and ends as it ended. The
    whole sandbox is killed when the process dies that started it (strictly: the thread), or when process 1 ends.
    Signals for the command must go to the process group of the started process; process 1 gets only those that it
    handles, as in any container, and SIGKILL. Exit codes of the sandbox itself: 125 it could not be built, 126 the
    command could not be executed, 127 no such command.
    """

    binds: tuple[Bind, ...]
    hostname: str
    cwd: PurePosixPath = _TOP
    read_only: tuple[Bind, ...] = ()

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """The argv that runs `argv` inside. Environment and open streams pass through. Keep secrets out of `argv`."""
        binds = [("rw", str(real.resolve()), os.path.realpath(inside)) for real, inside in self.binds]
        binds += [("ro", str(real.resolve()), os.path.realpath(inside)) for real, inside in self.read_only]
        covered = [*map(str, _COVERED), *(inside for _, _, inside in binds)]
        for path in _OWN_FILES:
            if any(path.startswith(folder + "/") for folder in covered):
                binds.append(("ro", os.path.realpath(path), path))
        # Outermost first, so that no mount hides one below it.
        binds.sort(key=lambda bind: len(PurePosixPath(bind[2]).parts))
        return [
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *("unshare", "--user", "--map-root-user", "--mount", "--uts", "--pid", "--fork", "--kill-child=KILL", "--"),
            *(sys.executable, "-I", "-S", str(_INIT), self.hostname, str(self.cwd)),
            *(word for bind in binds for word in bind),
            *("--", *argv),
        ]


def enter(pid: int, argv: Sequence[str], cwd: PurePosixPath = _TOP) -> list[str]:
    """The argv that runs `argv` inside the sandbox of which `pid` is the started process. See `is_ready`."""
    return [
        *("nsenter", "--target", str(pid), "--user", "--preserve-credentials", "--mount", "--uts"),
        # The started process waits outside of the PID namespace that it made for its child.
        *(f"--pid=/proc/{pid}/ns/pid_for_children", "--"),
        *("sh", "-c", 'cd "$0" && exec "$@"', str(cwd), *argv),
    ]


def is_ready(pid: int) -> bool:
    """Whether the sandbox started as `pid` has its own file tree: before that, `enter` would see the host's."""
    root = Path(f"/proc/{pid}/root")
    try:
        return root.stat().st_dev != Path("/").stat().st_dev and not (root / ".host").exists()
    except (FileNotFoundError, PermissionError):
        return False  # not there any more, or not ours to look into yet


@functools.cache
def available() -> bool:
    """Whether this machine allows sandboxes. Asked once: some containers, old kernels and macOS refuse."""
    probe = Sandbox(binds=(), hostname="probe").wrap(["true"])
    try:
        return subprocess.run(probe, capture_output=True, timeout=30).returncode == 0
    except FileNotFoundError:
        return False  # no util-linux
