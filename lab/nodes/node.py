"""One node: powered on it listens for SSH and has a process table; powered off it has neither."""

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import asyncssh

from lab import sandbox
from lab.nodes import sessions, tree
from lab.nodes.machine import Machine
from lab.nodes.places import UNITS

log = logging.getLogger(__name__)

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Ignored SIGCHLD is inherited, and an init that ignores it has its orphans reaped by the kernel.
_INIT = ["sh", "-c", 'trap "" CHLD; exec sleep infinity']
_BOOT_SECONDS = 30.0


class Node:
    """A `machine` whose SSH is on 127.0.0.1:`port`, for the holders of a key in `authorized_keys`.

    `isolated`: its commands run in namespaces below one init process, so they see each other, outlive their session
    if they detach, and end with the node's power. Otherwise they are plain processes with HOME and PATH in the folder.
    """

    def __init__(self, machine: Machine, port: int, authorized_keys: Path, *, isolated: bool) -> None:
        self.machine = machine
        self._port = port
        self._authorized_keys = authorized_keys
        self._isolated = isolated
        self._init: asyncio.subprocess.Process | None = None
        self._listener: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()

    @property
    def is_up(self) -> bool:
        return self._listener is not None and (self._init is None or self._init.returncode is None)

    async def power_on(self) -> None:
        """OSError when the port is taken."""
        for transient in (*(self.machine.root / UNITS).glob("*.timer"), *(self.machine.root / UNITS).glob("*.service")):
            transient.unlink()  # what systemd-run left to do is forgotten with the power
        tree.forget(self.machine)
        if self._isolated:
            self._init = await self._boot()
        self._listener = await asyncssh.listen(
            "127.0.0.1",
            self._port,
            reuse_address=True,
            server_factory=lambda: _Login(self.machine.user, self._authorized_keys, self._connections),
            server_host_keys=[str(self.machine.host_key)],
            process_factory=self._session,
            sftp_factory=lambda channel: sessions.Files(self.machine, channel),
            agent_forwarding=False,
            encoding=None,
            line_editor=False,
        )
        log.info("%s is on, SSH on 127.0.0.1:%d", self.machine.name, self._port)

    async def power_off(self) -> None:
        """As pulling the plug: connections drop, every process is killed."""
        if self._listener:
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            connection.abort()
        if self._init:
            if self._init.returncode is None:
                self._init.kill()
            await self._init.wait()
            self._init = None
        log.info("%s is off", self.machine.name)

    async def _boot(self) -> asyncio.subprocess.Process:
        box = sandbox.Sandbox(binds=tree.binds(self.machine), hostname=self.machine.name)
        init = await asyncio.create_subprocess_exec(
            *box.wrap(_INIT), env={"PATH": _PATH}, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        async with asyncio.timeout(_BOOT_SECONDS):
            while not sandbox.is_ready(init.pid):
                if init.returncode is not None:
                    raise OSError(f"{self.machine.name} does not start: its namespaces could not be made, see above")
                await asyncio.sleep(0.01)
        return init

    async def _session(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        await sessions.run(self, process)

    def argv(self, command: Sequence[str]) -> list[str]:
        if self._init:
            return sandbox.enter(self._init.pid, command, PurePosixPath(self.machine.home))
        return ["sh", "-c", 'cd "$HOME" && exec "$@"', "sh", *command]

    def environment(self) -> dict[str, str]:
        user, home = self.machine.user, self.machine.home
        login = {"USER": user, "LOGNAME": user, "SHELL": "/bin/bash", "LANG": "C.UTF-8"}
        if self._init:
            return login | {"HOME": home, "PATH": _PATH}
        root = self.machine.root
        path = f"{root}/usr/local/bin:{os.environ.get('PATH', os.defpath)}"
        return login | {"HOME": f"{root}{home}", "PATH": path, "LAB_NODE_ROOT": str(root)}


class _Login(asyncssh.SSHServer):
    """Who may log in: `user`, with an ed25519 key that the file lists at that moment. Passwords are not asked for."""

    def __init__(self, user: str, authorized_keys: Path, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._user = user
        self._authorized_keys = authorized_keys
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        if username == self._user and self._authorized_keys.exists():
            lines = self._authorized_keys.read_text().splitlines()
            listed = "\n".join(line for line in lines if line.startswith("ssh-ed25519 "))
            self._connection.set_authorized_keys(asyncssh.import_authorized_keys(listed))
        return True
