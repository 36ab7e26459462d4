"""The lab's nodes, started once for all tests of this folder."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest
import yaml

PROJECT = Path(__file__).parents[3]
SEED = PROJECT / "lab/seed/nodes.yaml"
NAMES = [entry["name"] for entry in yaml.safe_load(SEED.read_text())]


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass
class Nodes:
    """Running nodes, and the ways to reach them."""

    root: Path
    key: Path
    ports: dict[str, int]
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        return self.root.parent / "log"

    def host_key(self, name: str) -> str:
        """`ssh-ed25519 AAAA…` of a node."""
        return " ".join((self.root / name / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])

    def known_hosts(self, keys_of: dict[str, str] | None = None) -> Path:
        """A known_hosts file; `keys_of` gives a node the key of another."""
        path = self.root.parent / f"known_hosts-{'wrong' if keys_of else 'right'}"
        owners = {name: name for name in self.ports} | (keys_of or {})
        path.write_text("".join(f"[127.0.0.1]:{self.ports[n]} {self.host_key(o)}\n" for n, o in owners.items()))
        return path

    def ssh_options(self, known_hosts: Path) -> list[str]:
        options = (f"UserKnownHostsFile={known_hosts}", "StrictHostKeyChecking=yes", "BatchMode=yes")
        return ["-F", "none", "-i", str(self.key), *(word for option in options for word in ("-o", option))]

    def ssh(self, name: str, *command: str, user: str = "pi") -> subprocess.CompletedProcess[str]:
        """Runs a command by the OpenSSH client."""
        options = self.ssh_options(self.known_hosts())
        argv = ["ssh", *options, "-p", str(self.ports[name]), f"{user}@127.0.0.1", *command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def connect(self, name: str) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.load_host_keys(str(self.known_hosts()))
        port = self.ports[name]
        client.connect("127.0.0.1", port, "pi", key_filename=str(self.key), allow_agent=False, look_for_keys=False)
        return client

    def listens(self, name: str) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", self.ports[name])) == 0


@contextlib.contextmanager
def started(
    folder: Path,
    prefix: Sequence[str] = (),
    owner: int | None = None,
    program: Sequence[str] = ("-m", "lab.nodes"),
) -> Iterator[Nodes]:
    """Runs the nodes in a new folder, perhaps as another user who then owns it."""
    root = folder / "nodes"
    root.mkdir()
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (root / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    if owner is not None:
        os.chown(root, owner, owner)
    ports = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
    argv = [*prefix, sys.executable, *program, "--root", str(root), "--nodes", str(SEED)]
    argv += ["--ports", ",".join(f"{name}={port}" for name, port in ports.items())]
    with serving(root, key, ports, argv) as nodes:
        yield nodes


@contextlib.contextmanager
def serving(root: Path, key: Path, ports: dict[str, int], argv: list[str]) -> Iterator[Nodes]:
    """Runs `argv`, which serves nodes; ends it when the block has not, and wants no traceback in its log."""
    with (root.parent / "log").open("ab") as log:
        process = subprocess.Popen(argv, cwd=PROJECT, stderr=log)
    nodes = Nodes(root, key, ports, process)

    def ready() -> bool:
        assert process.poll() is None, nodes.log.read_text()
        return all(nodes.listens(name) for name in NAMES)

    try:
        wait_until(ready, 90)  # a busy machine lays out new nodes slowly
        yield nodes
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0, nodes.log.read_text()
    assert "Traceback" not in nodes.log.read_text(), nodes.log.read_text()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    if not shutil.which("ssh"):
        pytest.skip("no OpenSSH client on this machine")
    with started(tmp_path_factory.mktemp("nodes")) as running:
        yield running
