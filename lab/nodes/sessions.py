"""What an SSH session on a node may do: run commands, and move files by SFTP and SCP."""

import asyncio
import contextlib
import os
import posixpath
import signal
from collections.abc import Sequence
from typing import Protocol

import asyncssh

from lab.nodes.machine import Machine

_CHUNK = 65536


class Shell(Protocol):
    """Turns a command of a session into a process of the node."""

    machine: Machine

    def argv(self, command: Sequence[str]) -> list[str]: ...

    def environment(self) -> dict[str, str]: ...


async def run(shell: Shell, process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Runs the session's command, or a login shell. A channel closed early kills the command's process group."""
    command = ["/bin/bash", "-c", process.command] if process.command is not None else ["/bin/bash", "-l"]
    accepted = {name: value for name, value in process.env.items() if name == "LANG" or name.startswith("LC_")}
    environment = shell.environment() | accepted
    start = _start_on_terminal if process.term_type else _start_on_pipes
    child = await start(process, shell.argv(command), environment)
    ended = asyncio.ensure_future(_wait(process, child))
    closed = asyncio.ensure_future(process.channel.wait_closed())
    fed = asyncio.ensure_future(_feed(process, child))
    try:
        await asyncio.wait([ended, closed], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            _exit(process, ended.result())
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended at this moment
                os.killpg(child.pid, signal.SIGKILL)
        for task in (ended, closed, fed):
            task.cancel()
    await process.wait_closed()


async def _wait(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> int:
    code = await child.wait()
    await process.stdout.drain()
    await process.stderr.drain()
    return code


def _exit(process: asyncssh.SSHServerProcess[bytes], code: int) -> None:
    if code < 0:
        process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
    else:
        process.exit(code)


async def _start_on_pipes(
    process: asyncssh.SSHServerProcess[bytes], argv: list[str], environment: dict[str, str]
) -> asyncio.subprocess.Process:
    (from_stdout, stdout), (from_stderr, stderr) = os.pipe(), os.pipe()
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(stdout)
        os.close(stderr)
    # The channel has one end of file for both streams: the first of them to end must not send it.
    await process.redirect(None, from_stdout, from_stderr, send_eof=False)
    return child


async def _feed(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> None:
    """Passes on the session's input. What a command leaves unread is no error, as with OpenSSH."""
    if child.stdin is None:
        return  # a terminal, which the library feeds
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while not process.stdin.at_eof():
            with contextlib.suppress(asyncssh.SignalReceived, asyncssh.BreakReceived):
                child.stdin.write(await process.stdin.read(_CHUNK))
                await child.stdin.drain()
    child.stdin.close()


async def _start_on_terminal(
    process: asyncssh.SSHServerProcess[bytes], argv: list[str], environment: dict[str, str]
) -> asyncio.subprocess.Process:
    ours, theirs = os.openpty()
    try:
        child = await asyncio.create_subprocess_exec(
            *("setsid", "--ctty", *argv),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment | {"TERM": process.term_type or "dumb"},
        )
    finally:
        os.close(theirs)
    await process.redirect(os.dup(ours), ours, send_eof=False)
    return child


class Files(asyncssh.SFTPServer):
    """SFTP in the node's folder; relative paths start in the user's home."""

    def __init__(self, machine: Machine, channel: "asyncssh.SSHServerChannel[bytes]") -> None:
        super().__init__(channel, chroot=os.fsencode(machine.root))
        self._home = os.fsencode(machine.home)

    def map_path(self, path: bytes) -> bytes:
        return super().map_path(posixpath.join(self._home, path))

    def exit(self) -> None:
        """OpenSSH's scp takes a subsystem that ends without exit code for a failure."""
        self.channel.exit(0)
