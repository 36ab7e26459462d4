"""First process inside a sandbox: builds its file tree, then becomes the command (see lab/sandbox.py).

Run as `python -I -S sandbox_init.py HOSTNAME CWD MODE SOURCE TARGET … -- ARGV` (MODE: rw or ro) by util-linux' unshare,
as process 1 of fresh user, mount, UTS and PID namespaces. It imports little and execs: a sandbox costs one short-lived
interpreter.

Ends with 125 when the tree cannot be built, 126 when the command cannot be executed, 127 when it is not found.
"""
# pathlib would double the start-up time; the fixed paths are the sandbox's own.
# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH112, PTH114, PTH115, PTH118, PTH120, PTH208, S103, S108, S606

import ctypes
import os
import signal
import sys

_NOSUID, _NODEV, _NOEXEC, _BIND, _REC = 0x2, 0x4, 0x8, 0x1000, 0x4000
_DETACH = 0x2
_AT_FDCWD, _AT_RECURSIVE, _RDONLY = -100, 0x8000, 0x1
_SYS_MOUNT_SETATTR = 442  # the same on every architecture but alpha; Linux 5.12
_HOST = "/.host"
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _checked(result, f"mount {source} on {target}")


def _make_read_only(path: str, flags: int = 0) -> None:
    attributes = (ctypes.c_uint64 * 4)(_RDONLY, 0, 0, 0)
    result = _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, attributes, ctypes.c_size_t(32))
    _checked(result, f"mount_setattr {path}")


def _bind(source: str, target: str) -> None:
    """Binds a file or folder, making its mount point where there is none."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    _mount(source, target, flags=_BIND | _REC)


def _show_host(folder: str, opened: set[str]) -> None:
    """Shows the host's folder read-only: whole, or entry by entry where a mount point is needed that the host lacks."""
    try:
        names = os.listdir(_HOST + folder)
    except PermissionError:
        names = []  # a folder that the host hides from this user stays empty
    for name in names:
        path = os.path.join(folder, name)
        source = _HOST + path
        if path in {"/proc", "/tmp", _HOST}:
            continue  # the sandbox has its own
        if os.path.islink(source):
            os.symlink(os.readlink(source), path)
        elif path in opened:
            os.mkdir(path)
            _show_host(path, opened)
        else:
            try:
                _bind(source, path)
                _make_read_only(path, _AT_RECURSIVE)
            except (FileNotFoundError, PermissionError):
                continue  # gone meanwhile, or another user's FUSE mount: the host does not show it to us either


def _folders_to_open(targets: list[str]) -> set[str]:
    """Those existing host folders above a target that the host lacks and nobody else provides."""
    opened = set()
    provided = ("/tmp", "/dev/shm", *targets)
    for target in targets:
        inside_another = any(target.startswith(other + "/") for other in provided)
        if not inside_another and not os.path.lexists(_HOST + target):
            folder = os.path.dirname(target)
            while folder != "/":
                opened.add(folder)
                folder = os.path.dirname(folder)
    return opened


def _build(binds: list[tuple[str, str, str]]) -> None:
    _mount("sandbox", "/tmp", "tmpfs", _NOSUID | _NODEV, "mode=755")
    os.chdir("/tmp")
    os.mkdir("." + _HOST)
    _checked(_libc.pivot_root(b".", b"." + _HOST.encode()), "pivot_root")
    os.chdir("/")
    # From here each target is its plain path, and its source lies in the host's tree, no longer covered by our tmpfs.
    _show_host("/", _folders_to_open([target for _, _, target in binds]))
    for folder in ("/proc", "/tmp"):
        os.mkdir(folder)
    os.chmod("/tmp", 0o1777)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    _mount("shm", "/dev/shm", "tmpfs", _NOSUID | _NODEV, "mode=1777")
    for _, source, target in binds:
        _bind(_HOST + source, target)
    for mode, _, target in binds:
        if mode == "ro":  # only now: a mount point may have been made below it
            _make_read_only(target)
    _checked(_libc.umount2(_HOST.encode(), _DETACH), "umount of the host's tree")
    os.rmdir(_HOST)


def main(arguments: list[str]) -> int:
    end = arguments.index("--")
    hostname, cwd, *paths = arguments[:end]
    argv = arguments[end + 1 :]
    try:
        _build(list(zip(paths[::3], paths[1::3], paths[2::3], strict=True)))
        _checked(_libc.sethostname(hostname.encode(), ctypes.c_size_t(len(hostname.encode()))), "sethostname")
        os.chdir(cwd)
    except OSError as error:
        print(f"sandbox: {error.strerror or error}", file=sys.stderr)
        return 125
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)
    except FileNotFoundError:
        print(f"exec: {argv[0]}: not found", file=sys.stderr)
        return 127
    except OSError as error:
        print(f"exec: {argv[0]}: {error.strerror}", file=sys.stderr)
        return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
