"""A repository behind SSH: the deploy key opens it, and only on the host that is known."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from infra_ops.clients.git import Clone, DeployKey, File, GitError, MovedBranch
from infra_ops.models.problems import Refusal


@dataclass
class Server:
    url: str
    key: DeployKey
    origin: Path


async def _serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Runs what Git asks for, as a Git server's shell does, and nothing else."""
    program, *arguments = shlex.split(process.command or "")
    if program not in ("git-upload-pack", "git-receive-pack"):
        process.exit(1)
        return
    child = await asyncio.create_subprocess_exec(
        program, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
    process.exit(await child.wait())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Git server with one repository of one commit."""
    folder = tmp_path_factory.mktemp("server")
    origin = folder / "infrastructure.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(origin)], check=True)
    host, user = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    authorized = folder / "authorized_keys"
    authorized.write_bytes(user.export_public_key())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host],
            authorized_client_keys=str(authorized),
            process_factory=_serve,
            encoding=None,
        )

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    port = acceptor.get_port()
    known = f"[127.0.0.1]:{port} {host.export_public_key().decode().strip()}"
    key = DeployKey(user.export_private_key().decode(), known)
    try:
        seed(str(origin), folder / "seed")
        yield Server(f"ssh://git@127.0.0.1:{port}{origin}", key, origin)
    finally:
        loop.call_soon_threadsafe(acceptor.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def seed(origin: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "README.md").write_text("hello\n")
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-q", "-m", "one"],
        ["push", "-q", origin, "main"],
    ):
        subprocess.run(["git", *who, *words], cwd=folder, check=True)


def clone(server: Server, key: DeployKey | None = None) -> Clone:
    return Clone(server.url, key or server.key, "infra-ops <infra-ops@test.invalid>")


def test_the_key_opens_the_repository_and_a_branch_is_pushed_once(server: Server) -> None:
    here = clone(server)
    base = here.commit_of("main")
    assert base
    assert {path: file.data for path, file in here.files(base).items()} == {"README.md": b"hello\n"}
    commit = here.commit(base, {"a/b.txt": File(b"x")}, "two\n")
    assert commit == clone(server).commit(base, {"a/b.txt": File(b"x")}, "two\n")
    here.push(commit, "proposal", replaces=None)
    assert here.commit_of("proposal") == commit
    with pytest.raises(MovedBranch):
        here.push(base, "proposal", replaces=None)
    with pytest.raises(Refusal, match="main is the default branch"):
        here.push(commit, "main", replaces=base)
    assert oct((here.home / "deploy-key").stat().st_mode)[-3:] == "600"
    assert oct(here.home.stat().st_mode)[-3:] == "700"
    here.close()
    assert not here.home.exists()


def test_a_host_that_is_not_known_is_not_spoken_to(server: Server) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    address = server.key.known_hosts.split(" ")[0]
    for known in ("", f"{address} {other}"):
        with pytest.raises(GitError, match="Host key verification failed") as error:
            clone(server, DeployKey(server.key.private_key, known)).commit_of("main")
        assert "PRIVATE" not in str(error.value)


def test_another_key_is_refused(server: Server) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(GitError, match="Permission denied"):
        clone(server, DeployKey(key, server.key.known_hosts)).commit_of("main")
