"""Starting API servers of the lab in folders of their own, and the lab's controllers, for tests."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import requests

from lab import pki
from lab.ports import Ports

READY_SECONDS = 60
ADMIN = "lab-admin"


@dataclass
class ApiServer:
    """One ``python -m lab.apiserver`` below ``folder``; a context manager. It keeps its data over restarts.

    ``users`` are more lines for the token file (name -> groups); ``arguments`` more words for the command line.
    """

    folder: Path
    users: dict[str, tuple[str, ...]] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port = Ports().of("apiserver")
        self.url = f"https://127.0.0.1:{self.port}"
        self.certs = self.folder / "pki"
        self.ca = self.certs / "ca.crt"
        self.database = self.folder / "data" / "state.db"
        self.log = self.folder / "log"
        pki.issue(self.certs)
        self.tokens = {name: secrets.token_hex(16) for name in (ADMIN, *self.users)}
        groups = {ADMIN: ("system:masters",), **self.users}
        lines = [f'{token},{name},{name},"{",".join(groups[name])}"' for name, token in self.tokens.items()]
        (self.folder / "tokens").write_text("\n".join(lines) + "\n")
        self.kubeconfig = self.write_kubeconfig(ADMIN)

    def write_kubeconfig(self, user: str) -> Path:
        """A kubeconfig for one of the users."""
        path = self.folder / f"{user}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "lab", "cluster": cluster}],
                    "users": [{"name": user, "user": {"token": self.tokens[user]}}],
                    "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
                    "current-context": "lab",
                }
            )
        )
        return path

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def command(self) -> list[str]:
        files = ["--data", str(self.folder / "data"), "--certs", str(self.certs)]
        files += ["--tokens", str(self.folder / "tokens")]
        return [sys.executable, "-m", "lab.apiserver", "--port", str(self.port), *files, *self.arguments]

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            assert self.process.poll() is None, f"the API server died:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"the API server did not get ready:\n{self.log.read_text()}"
            time.sleep(0.1)

    def _ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", verify=str(self.ca), timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
            self.process = None

    def kill(self) -> None:
        """End it without any warning."""
        self.stop(signal.SIGKILL)

    def request(self, method: str, path: str, *, user: str = ADMIN, **more: Any) -> requests.Response:
        """One request as one of the users; ``more`` goes to requests (json, params, headers, data, stream)."""
        headers = {"Authorization": f"Bearer {self.tokens[user]}", **more.pop("headers", {})}
        return requests.request(
            method, self.url + path, headers=headers, verify=str(self.ca), **{"timeout": 30, **more}
        )


StartServer = Callable[..., ApiServer]


@contextlib.contextmanager
def running_controllers(kubeconfig: Path, log: Path, *arguments: str) -> Iterator[None]:
    """`python -m lab.controllers` with these arguments, for as long as the block lasts."""
    argv = [sys.executable, "-m", "lab.controllers", "--kubeconfig", str(kubeconfig), *arguments]
    with log.open("wb") as stream:
        process = subprocess.Popen(argv, stderr=stream)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, log.read_text()
