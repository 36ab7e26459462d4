"""The Git host: a listed key opens its repositories to Git, and nothing else of the machine to anybody."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from infra_ops.clients.git import Clone, DeployKey, GitError
from lab.doubles import git as double
from lab.ports import Ports
from lab.seed.repository import seed

PASSWORDS = dict.fromkeys(
    [
        *("postgres_appuser", "flower_celery", "flower_financial_screener", "synology_admin"),
        *("pihole_admin", "grafana_admin", "airflow_admin"),
    ],
    "Heron&Otter!1234",
)


@dataclass
class Host:
    folder: Path
    port: int
    key: DeployKey
    authorized_keys: Path

    @property
    def url(self) -> str:
        return f"ssh://git@127.0.0.1:{self.port}/team/one.git"

    def clone(self, url: str = "", private_key: str = "") -> Clone:
        key = DeployKey(private_key or self.key.private_key, self.key.known_hosts)
        return Clone(url or self.url, key, "infra-ops <infra-ops@test.invalid>")

    @property
    def program(self) -> list[str]:
        """OpenSSH's client with the listed key."""
        options = {"UserKnownHostsFile": str(self.folder / "known_hosts"), "IdentitiesOnly": "yes", "BatchMode": "yes"}
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "none", "-i", str(self.folder / "key"), "-p", str(self.port), *words]

    def ssh(self, *words: str, user: str = "git") -> subprocess.CompletedProcess[str]:
        argv = [*self.program, f"{user}@127.0.0.1", *words]
        return subprocess.run(argv, input="", capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """With one seeded repository, and one beside the folder that it serves."""
    folder = tmp_path_factory.mktemp("host")
    seed(folder / "served" / "team" / "one.git", "main", PASSWORDS)
    seed(folder / "beside.git", "main", PASSWORDS)
    own, user = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    authorized, port = folder / "authorized_keys", Ports().of("git")
    for path, text in (
        (authorized, user.export_public_key()),
        (folder / "host_key", own.export_private_key()),
        (folder / "key", user.export_private_key()),
        (folder / "known_hosts", f"[127.0.0.1]:{port} {own.export_public_key().decode()}".encode()),
    ):
        path.touch(mode=0o600)
        path.write_bytes(text)
    places = ["--root", str(folder / "served"), "--host-key", str(folder / "host_key")]
    argv = [sys.executable, "-m", double.__name__, *places, "--port", str(port), "--authorized-keys", str(authorized)]
    key = DeployKey(user.export_private_key().decode(), (folder / "known_hosts").read_text())
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(argv, stderr=log, cwd=Path(__file__).parents[3]) as server,
    ):
        try:
            found = Host(folder, port, key, authorized)
            deadline = time.monotonic() + 60
            while "refused" in found.ssh("true").stderr:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
            yield found
        finally:
            server.terminate()
    assert "RuntimeWarning" not in (folder / "log").read_text()


def test_git_reads_and_pushes_with_a_listed_key(host: Host) -> None:
    here = host.clone()
    base = here.commit_of("main")
    assert base
    assert here.default_branch() == "main"
    assert "ansible/ansible.cfg" in here.files(base)
    here.push(here.commit(base, {}, "two\n"), "proposal", replaces=None)
    assert here.commit_of("proposal")


def test_a_branch_that_is_protected_takes_no_push_from_a_deploy_key(host: Host) -> None:
    here = host.clone()
    base = here.commit_of("main")
    assert base
    argv = ["git", "push", "--force", host.url, f"{here.commit(base, {}, 'two')}:refs/heads/main"]
    environment = {**os.environ, "GIT_SSH_COMMAND": shlex.join(host.program)}
    refused = subprocess.run(argv, cwd=here.folder, env=environment, capture_output=True)
    assert refused.returncode
    assert b"main is protected" in refused.stderr
    assert here.commit_of("main") == base


def test_a_key_that_is_not_listed_is_refused(host: Host) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(GitError, match="Permission denied"):
        host.clone(private_key=key).commit_of("main")


def test_nobody_but_git_logs_in(host: Host) -> None:
    result = host.ssh("git-upload-pack '/team/one.git'", user="root")
    assert (result.returncode, "Permission denied" in result.stderr) == (255, True)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "true",
        "git --version",
        "git-upload-archive '/team/one.git'",
        "git-upload-pack '/team/one.git'; true",
        "git-upload-pack --help /team/one.git",
        "git-upload-pack '/team/one.git",
        "git-upload-pack '/team'",
        "git-upload-pack '/../beside.git'",
        "git-upload-pack '/team/../../beside.git'",
        "bash -c true",
    ],
)
def test_another_command_or_place_is_refused(host: Host, command: str) -> None:
    result = host.ssh(*([command] if command else []))
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Only Git's own commands" in result.stderr


def test_there_is_no_file_transfer_and_no_forwarding(host: Host) -> None:
    transfer = host.ssh("-s", "sftp")
    assert transfer.returncode != 0
    assert transfer.stdout == ""
    forwarded = host.ssh("-W", f"127.0.0.1:{host.port}")  # where somebody does listen
    assert forwarded.returncode != 0
    assert "open failed" in forwarded.stderr
