"""A running proxy on an API server of its own, and pods that exist in the API only: their servers are in the test."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kubernetes import client, config

from tests.lab.servers import ApiServer

PROJECT = Path(__file__).parents[3]
Answer = TypeVar("Answer")


def wait_until(question: Callable[[], Answer], seconds: float = 20) -> Answer:
    """The first answer that is true."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer was {answer!r}"
        time.sleep(0.02)
    return answer


class Greeter:
    """A server on an address of its own that greets each connection with its name and then echoes."""

    def __init__(self, name: str, address: str, port: int) -> None:
        self.name = name
        self.address = address
        self._server = socket.create_server((address, port))
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """Refuse from now on; connections that stand live on."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.sendall(self.name.encode() + b"\n")
            while data := connection.recv(65536):
                connection.sendall(data)


class Proxy:
    """`python -m lab.proxy`, to be started, stopped and started again."""

    def __init__(self, kubeconfig: Path, folder: Path, *options: str) -> None:
        self.addresses = folder / "addresses.json"
        self.log = folder / "proxy.log"
        self._command = [
            *(sys.executable, "-m", "lab.proxy", "--kubeconfig", str(kubeconfig)),
            *("--root", str(folder), "--addresses", str(self.addresses), *options),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=PROJECT, stdout=log, stderr=log)

    def stop(self) -> None:
        """Stop it, and remove what it told, as the lab does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=10)
        self.addresses.unlink(missing_ok=True)

    def told(self, name: str) -> tuple[str, int] | None:
        """The address of `namespace/service:port`."""
        if not self.addresses.exists() or name not in (told := json.loads(self.addresses.read_text())):
            return None
        host, _, port = told[name].rpartition(":")
        return host, int(port)

    def wait_told(self, name: str) -> tuple[str, int]:
        address = wait_until(lambda: self.told(name))
        assert address
        return address


class Shop:
    """A Service `web` on port 80 in a namespace of its own, and pods behind it."""

    def __init__(self, api: client.CoreV1Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.name = f"{namespace}/web:80"

    def open(self, **spec: Any) -> None:
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 7001}], **spec}
        self.api.create_namespaced_service(self.namespace, {"metadata": {"name": "web"}, "spec": spec})

    def pod(self, name: str, address: str, *, ready: bool = True) -> None:
        metadata = {"name": name, "labels": {"app": "web"}}
        spec = {"containers": [{"name": "c", "image": "none"}]}
        self.api.create_namespaced_pod(self.namespace, {"metadata": metadata, "spec": spec})
        self.api.patch_namespaced_pod_status(
            name, self.namespace, {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
        )
        self.ready(name, ready)

    def ready(self, name: str, ready: bool) -> None:
        condition = {"type": "Ready", "status": str(ready)}
        self.api.patch_namespaced_pod_status(name, self.namespace, {"status": {"conditions": [condition]}})


def greeting(address: tuple[str, int]) -> str:
    """The name of the server that answers there; empty if the connection is reset or refused."""
    with contextlib.suppress(ConnectionError), socket.create_connection(address, timeout=10) as connection:
        return connection.makefile().readline().strip()
    return ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server that tests may stop."""
    with ApiServer(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture
def shop(server: ApiServer, request: pytest.FixtureRequest) -> Shop:
    api = client.CoreV1Api(config.new_client_from_config(str(server.kubeconfig)))
    namespace = f"shop-{abs(hash(request.node.name)) % 10**8}"
    api.create_namespace({"metadata": {"name": namespace}})
    api.create_namespaced_service_account(namespace, {"metadata": {"name": "default"}})
    return Shop(api, namespace)


@pytest.fixture
def proxy(server: ApiServer, tmp_path: Path) -> Iterator[Proxy]:
    proxy = Proxy(server.kubeconfig, tmp_path)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def greeters(request: pytest.FixtureRequest) -> Iterator[list[Greeter]]:
    """Servers `a` and `b` on addresses as pods have them."""
    start = abs(hash(request.node.name)) % 200
    both = [Greeter(name, f"127.43.{start}.{number}", 7001) for number, name in enumerate("ab", 1)]
    yield both
    for greeter in both:
        with contextlib.suppress(OSError):
            greeter.close()
