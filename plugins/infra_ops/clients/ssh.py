"""Commands and files on other machines by SSH, over paramiko (https://docs.paramiko.org).

INFRA_OPS_SSH names the folder with the private key `id_ed25519` and the host keys that count, `known_hosts`. A machine
that shows another host key is not spoken to.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import paramiko

from infra_ops.models.inventory import Inventory, Node
from infra_ops.models.problems import Problem, Refusal

VARIABLE = "INFRA_OPS_SSH"
FOLDER = "/etc/infra-ops/ssh"
NODE_USER = "pi"
CONNECT_SECONDS = 10
SECONDS = 60  # for a command
GRACE = 10  # beyond that, for its last words
TIMED_OUT = 124  # coreutils' timeout
PIECE = 64 * 1024


class Unreachable(Problem):
    """The machine did not answer, or the session broke: whether a command ran is not known."""


class CommandFailed(Problem):
    """A command ended with a status that its caller did not expect; the text has its last words on stderr."""


class UnknownHost(Refusal):
    """The machine shows a host key that nobody has accepted, or there is no key to log in with."""


def folder() -> Path:
    """Where key and host keys are."""
    return Path(os.environ.get(VARIABLE) or FOLDER)


def known_hosts() -> Path:
    return folder() / "known_hosts"


def private_key() -> Path:
    return folder() / "id_ed25519"


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit status and output. Not shown by itself: the output may hold a secret."""

    status: int
    output: bytes
    errors: bytes

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, {len(self.output)} bytes)"

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace")


class Machine:
    """One machine, called `name` in sentences. It is connected to with the first use, and again when that was lost."""

    def __init__(self, name: str, address: str, *, port: int = 22, user: str = NODE_USER) -> None:
        self.name = name
        self._address, self._port, self._user = address, port, user
        self._client: paramiko.SSHClient | None = None

    @classmethod
    def of(cls, node: Node) -> Machine:
        """A node of the cluster, whose user may become root (`sudo`) without a password."""
        return cls(node.name, node.address, port=node.ssh_port)

    @classmethod
    def off_cluster(cls, inventory: Inventory) -> Machine | None:
        """The machine that keeps copies; None where the inventory names none."""
        place = inventory.off_cluster
        return cls(place.address, place.address, port=place.ssh_port, user=place.user) if place else None

    def ask(self, *command: str, seconds: int = SECONDS, stdin: bytes = b"") -> Answer:
        """Run a command, given word by word, whatever its status. It is ended on the machine itself after `seconds`.

        Raises Unreachable and UnknownHost; CommandFailed only when time ran out.
        """
        line = f"timeout {seconds} {shlex.join(command)}"
        try:
            answer = self._run(line, seconds + GRACE, stdin)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise Unreachable(f"{self.name} was lost while it ran `{_shown(command)}`: {_why(error)}.") from None
        if answer.status == TIMED_OUT:
            raise CommandFailed(f"`{_shown(command)}` on {self.name} did not end within {seconds} s.")
        return answer

    def run(self, *command: str, seconds: int = SECONDS, stdin: bytes = b"") -> Answer:
        """The same for a command that has to succeed. Raises CommandFailed when it does not.

        Its sentence goes into logs, so it quotes stderr alone: stdout is what was asked for, and may hold a secret.
        """
        answer = self.ask(*command, seconds=seconds, stdin=stdin)
        if answer.status:
            raise self._failed(command, answer.status, answer.errors)
        return answer

    def stream(self, *command: str, seconds: int = SECONDS) -> Iterator[bytes]:
        """The output of a command that has to succeed, piece by piece; its end raises like `run`."""
        try:
            channel = self._open().exec_command(f"timeout {seconds} {shlex.join(command)}", timeout=seconds + GRACE)
            stdout, stderr = channel[1], channel[2]
            while piece := stdout.read(PIECE):
                yield piece
            status, words = stdout.channel.recv_exit_status(), stderr.read()
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise Unreachable(f"{self.name} was lost while it ran `{_shown(command)}`: {_why(error)}.") from None
        if status:
            raise self._failed(command, status, words)

    @contextmanager
    def files(self) -> Iterator[Files]:
        """Its files by SFTP. Raises Unreachable, also for what goes wrong within."""
        try:
            with self._open().open_sftp() as sftp:
                yield Files(sftp)
        except (EOFError, paramiko.SSHException) as error:
            self.close()
            raise Unreachable(f"The SFTP session with {self.name} broke: {_why(error)}.") from None
        except OSError as error:
            raise Unreachable(f"{self.name} refused a file operation: {_why(error)}.") from None

    def close(self) -> None:
        """Forget the connection; the next use makes a new one."""
        if self._client:
            self._client.close()
            self._client = None

    def _failed(self, command: tuple[str, ...], status: int, errors: bytes) -> CommandFailed:
        words = errors.decode(errors="replace").strip()[-300:] or "it said nothing on stderr"
        return CommandFailed(f"`{_shown(command)}` on {self.name} ended with status {status}: {words}")

    def _open(self) -> paramiko.SSHClient:
        transport = self._client.get_transport() if self._client else None
        if self._client and transport and transport.is_active():
            return self._client
        self.close()
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.load_host_keys(str(known_hosts()))
            client.connect(
                self._address,
                self._port,
                self._user,
                key_filename=str(private_key()),
                allow_agent=False,
                look_for_keys=False,
                timeout=CONNECT_SECONDS,
                banner_timeout=CONNECT_SECONDS,
                auth_timeout=CONNECT_SECONDS,
            )
        except FileNotFoundError as error:
            raise UnknownHost(f"{error.filename} is missing: it is what {self.name} is reached with.") from None
        except paramiko.AuthenticationException:
            raise UnknownHost(f"{self.name} does not let {self._user} in with the key {private_key()}.") from None
        except paramiko.BadHostKeyException:
            raise UnknownHost(f"{self.name} shows another host key than {known_hosts()} has for it.") from None
        except (OSError, EOFError, paramiko.SSHException) as error:
            if "not found in known_hosts" in str(error):
                raise UnknownHost(f"{known_hosts()} has no host key of {self.name}: accept it there first.") from None
            raise Unreachable(f"{self.name} cannot be reached by SSH: {_why(error)}.") from None
        self._client = client
        return client

    def _run(self, line: str, seconds: float, stdin: bytes) -> Answer:
        inward, outward, errors = self._open().exec_command(line, timeout=seconds)
        kept: list[bytes] = []
        reader = Thread(target=_read_to_the_end, args=(errors, kept), daemon=True)  # or a full window would block both
        reader.start()
        try:
            inward.write(stdin)
            inward.channel.shutdown_write()
        except OSError:
            pass  # it ended without reading everything, which is its right; its status says whether that was a fault
        output = outward.read()
        status = outward.channel.recv_exit_status()
        reader.join(GRACE)
        if status < 0:
            raise paramiko.SSHException("the session ended before the command did")
        return Answer(status, output, b"".join(kept))


class Files:
    """Files of a machine as its own user sees them."""

    def __init__(self, sftp: paramiko.SFTPClient) -> None:
        self._sftp = sftp

    def mode(self, path: str) -> int | None:
        """The permission bits; None when there is nothing."""
        try:
            found = self._sftp.stat(path).st_mode
        except FileNotFoundError:
            return None
        return stat.S_IMODE(found or 0)

    def read(self, path: str) -> Iterator[bytes] | None:
        """The content, piece by piece; None when there is no such file."""
        try:
            file = self._sftp.open(path, "rb")
        except FileNotFoundError:
            return None
        return _pieces(file)

    def make_private_folder(self, path: str) -> None:
        """A folder that only its owner enters; one that is there is narrowed to that."""
        if self.mode(path) is None:
            self._sftp.mkdir(path, 0o700)
        self._sftp.chmod(path, 0o700)

    def write_private(self, path: str, pieces: Iterator[bytes]) -> None:
        """Write a file that nobody else may read at any moment. It is not whole before this returns."""
        with self._sftp.open(path, "wb") as file:
            self._sftp.chmod(path, 0o600)
            file.set_pipelined(True)
            for piece in pieces:
                file.write(piece)

    def rename(self, path: str, to: str) -> None:
        """Give a file another name, in the place of whatever has it."""
        self._sftp.posix_rename(path, to)


def _pieces(file: Any) -> Iterator[bytes]:
    with file:
        file.prefetch()
        while piece := file.read(PIECE):
            yield piece


def _read_to_the_end(stream: Any, into: list[bytes]) -> None:
    try:
        into.append(stream.read())
    except (OSError, EOFError, paramiko.SSHException):
        into.append(b"(the session broke)")


def _shown(command: tuple[str, ...]) -> str:
    """Enough of a command to know it by."""
    text = " ".join(shlex.join(command).split())
    return text if len(text) < 80 else f"{text[:77]}…"


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
