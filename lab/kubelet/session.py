"""A process with its streams on pipes or on a terminal of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from dataclasses import dataclass

from lab.kubelet.enclosures import Command


@dataclass(frozen=True)
class Session:
    """A running command: `outputs` are standard output and standard error, or what the terminal shows."""

    process: asyncio.subprocess.Process
    input: asyncio.WriteTransport
    outputs: tuple[asyncio.StreamReader, ...]
    terminal: int | None = None

    async def feed(self, data: bytes) -> None:
        """Write to its standard input."""
        if not self.input.is_closing():
            self.input.write(data)

    def end_input(self) -> None:
        """End its standard input; on a terminal a person ends it by typing Ctrl-D."""
        if self.terminal is None:
            self.input.close()

    def resize(self, height: int, width: int) -> None:
        """Tell its terminal, if it has one, the size of the caller's."""
        if self.terminal is not None:
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def kill(self) -> None:
        """End it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it and give back its streams."""
        self.kill()
        self.input.close()


async def start(command: Command, *, tty: bool) -> Session:
    """Start a command as the leader of a session of its own; raises OSError."""
    return await (_on_terminal(command) if tty else _on_pipes(command))


async def _on_pipes(command: Command) -> Session:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command.argv,
        env=command.environment,
        cwd=command.cwd or None,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )
    if not (process.stdin and process.stdout and process.stderr):
        raise OSError("the process has no pipes")
    return Session(process, process.stdin.transport, (process.stdout, process.stderr))


async def _on_terminal(command: Command) -> Session:
    ours, its = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *("setsid", "--ctty", *command.argv),  # util-linux: makes the terminal the session's own
            env={"TERM": "xterm", **command.environment},
            cwd=command.cwd or None,
            stdin=its,
            stdout=its,
            stderr=its,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(its)
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(ours), "rb", buffering=0)
    )
    writer, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(ours, "wb", buffering=0))
    return Session(process, writer, (reader,), terminal=ours)
