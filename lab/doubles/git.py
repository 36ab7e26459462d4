"""`python -m lab.doubles.git`: a Git host, reached by SSH as user `git` with a key of `--authorized-keys`.

As a Git host's shell it starts git-upload-pack and git-receive-pack on the repositories below `--root`, and nothing
else: no shell, no file transfer, no forwarding. Git itself is the real one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shlex
import signal
import sys
from pathlib import Path

import asyncssh

log = logging.getLogger("lab.doubles")

USER = "git"
PROGRAMS = ("git-upload-pack", "git-receive-pack")


class _Login(asyncssh.SSHServer):
    """Nobody but `git` has keys here. Passwords are not asked for."""

    def __init__(self, authorized_keys: Path) -> None:
        self._authorized_keys = authorized_keys

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        if username == USER:
            self._connection.set_authorized_keys(asyncssh.read_authorized_keys(str(self._authorized_keys)))
        return True


class GitHost:
    """The repositories below the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Runs what Git asks for in one session. A channel that is closed early ends the program by its end of file."""
        program, repository = self._wanted(process.command)
        if repository is None:
            log.info("refused: %r", process.command)
            process.stderr.write(b"Only Git's own commands on a repository of this host are served.\n")
            process.exit(1)
            return
        log.info("%s %s", program, repository.relative_to(self._root))
        child = await asyncio.create_subprocess_exec(
            *(program, str(repository)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
                # As OpenSSH tells it to a forced command, and so to hooks.
                "SSH_ORIGINAL_COMMAND": process.command or "",
            },
        )
        await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
        code = await child.wait()
        await process.stdout.drain()
        await process.stderr.drain()
        process.exit(code)
        await process.wait_closed()

    def _wanted(self, command: str | None) -> tuple[str, Path | None]:
        try:
            program, path = shlex.split(command or "")
        except ValueError:  # another number of words, or quotes that do not end
            return "", None
        repository = (self._root / path.lstrip("/")).resolve()
        good = program in PROGRAMS and self._root in repository.parents and (repository / "HEAD").is_file()
        return program, repository if good else None


async def _main(arguments: argparse.Namespace) -> None:
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    listener = await asyncssh.listen(
        "127.0.0.1",
        arguments.port,
        reuse_address=True,
        server_factory=lambda: _Login(arguments.authorized_keys),
        server_host_keys=[str(arguments.host_key)],
        process_factory=GitHost(arguments.root).serve,
        agent_forwarding=False,
        allow_pty=False,
        encoding=None,
    )
    async with listener:
        await end.wait()


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.doubles.git", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with the repositories, at any depth")
    parser.add_argument("--port", type=int, required=True, help="for SSH on 127.0.0.1")
    parser.add_argument("--host-key", type=Path, required=True, help="OpenSSH's file of the private host key")
    parser.add_argument("--authorized-keys", type=Path, required=True, help="who may log in, in OpenSSH's format")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    asyncio.run(_main(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
