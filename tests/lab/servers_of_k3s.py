"""A whole cluster's servers without Airflow: the nodes with SSH, and an API server process with a port a server.

`running(folder)` starts it in a few seconds; fixtures of several folders use it. Without the kubelet there are no Node
objects; this makes them, so that annotations and versions can be read.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import yaml

from infra_ops.models.inventory import Inventory
from lab import K3S_VERSION, files, inventory
from lab.k3s import certificates, leaves
from lab.nodes.places import VERSION
from lab.ports import Ports
from tests.lab.apiserver.rest import Rest
from tests.lab.servers import ADMIN, ApiServer

PROJECT = Path(__file__).parents[2]
SEED = PROJECT / "lab/seed/nodes.yaml"
NODES = {entry["name"]: entry for entry in yaml.safe_load(SEED.read_text())}
SERVERS = [name for name, entry in NODES.items() if entry["role"] == "server"]
NAS = "nas"
PATIENCE = 180.0  # seconds; a busy machine lays out new nodes slowly


def wait_until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


@dataclass
class K3sCluster:
    """Running servers of K3s, and every way to reach them."""

    folder: Path
    version: str = K3S_VERSION
    restart_seconds: float = 0.5
    api: ApiServer = field(init=False)  # the common port, kubeconfig and token
    ssh_ports: dict[str, int] = field(init=False)
    api_ports: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        ports = Ports()
        self.ssh_ports = {name: ports.of(name) for name in (*NODES, NAS)}
        self.api_ports = {name: ports.of(f"{name}-api") for name in SERVERS}
        more = ["--servers", _told(self.api_ports), "--node-root", str(self.root)]
        more += ["--restart-seconds", str(self.restart_seconds)]
        self.api = ApiServer(self.folder, arguments=more)
        self.ssh_folder.mkdir(exist_ok=True)
        key = self.ssh_folder / "id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        self.root.mkdir()
        (self.root / "authorized_keys").write_text(key.with_suffix(".pub").read_text())

    @property
    def root(self) -> Path:
        """A folder with the disk of each node: `root / "rpi-1" / "etc/…"`."""
        return self.folder / "nodes"

    @property
    def ssh_folder(self) -> Path:
        """What INFRA_OPS_SSH names: id_ed25519 and known_hosts."""
        return self.folder / "ssh"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's, at the common port."""
        return self.api.kubeconfig

    @property
    def token(self) -> str:
        return self.api.tokens[ADMIN]

    @property
    def ca(self) -> Path:
        return self.api.ca

    def url(self, server: str) -> str:
        """A server's own API."""
        return f"https://127.0.0.1:{self.api_ports[server]}"

    def inventory(self) -> Inventory:
        """include/cluster.yaml, but for the machines' addresses and ports."""
        content = inventory.load().model_dump(mode="json")
        placed = inventory.reached(content, inventory.Ports(self.ssh_ports, self.api_ports))
        return Inventory.model_validate({**placed, "k3s_version": self.version})

    def rest(self, server: str = "") -> Rest:
        """The REST interface of one server, or of the common port."""
        rest = Rest(self.kubeconfig)
        rest.url = self.url(server) if server else rest.url
        return rest

    def ssh(self, name: str, command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs a command on a node (or the NAS) by the OpenSSH client."""
        user = "infra-ops" if name == NAS else "pi"
        options = [
            f"UserKnownHostsFile={self.ssh_folder / 'known_hosts'}",
            "StrictHostKeyChecking=yes",
            "BatchMode=yes",
        ]
        argv = ["ssh", "-F", "none", "-i", str(self.ssh_folder / "id_ed25519")]
        argv += [word for option in options for word in ("-o", option)]
        argv += ["-p", str(self.ssh_ports[name]), f"{user}@127.0.0.1", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)

    def disk(self, name: str, path: str) -> Path:
        """The file that is at `path` on a node."""
        return self.root / name / path.lstrip("/")

    def power(self, name: str, *, on: bool) -> None:
        switch = self.root / name / "off"
        switch.unlink(missing_ok=True) if on else switch.touch()

    def answers(self, server: str = "") -> bool:
        """Whether a server's own port, or the common one, says that it is ready."""
        url = self.url(server) if server else self.api.url
        try:
            return requests.get(f"{url}/readyz", verify=str(self.ca), timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def age_certificates(self, name: str, days: float) -> None:
        """Let all leaves of K3s on a node end in so many days, as if they had been issued long ago."""
        role = str(NODES[name]["role"])
        end = datetime.now(UTC) + timedelta(days=days)
        for leaf in leaves.of(role):
            certificates.issue(self.root / name, leaf, self.root / SERVERS[0], end)

    def let_run_since(self, name: str, days: float) -> None:
        """As if K3s had been started on a node so many days ago; its next start forgets that."""
        [state] = self.disk(name, "/var/lib/lab/units").glob("*.json")
        told = {**json.loads(state.read_text()), "ExecMainStartTimestamp": time.time() - days * 86400}
        files.write(state, json.dumps(told))

    def make_nodes(self) -> None:
        """The Node objects that kubelets would register."""
        rest = self.rest()
        for name, entry in NODES.items():
            server = entry["role"] == "server"
            roles = ("control-plane", "etcd", "master") if server else ()
            labels = {f"node-role.kubernetes.io/{role}": "true" for role in roles}
            rest.create("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
            addresses = [{"type": "InternalIP", "address": entry["address"]}, {"type": "Hostname", "address": name}]
            status = {"nodeInfo": _node_info(self.version), "conditions": [ready], "addresses": addresses}
            rest.patch(f"/api/v1/nodes/{name}/status", {"status": status})


def _told(ports: dict[str, int]) -> str:
    return ",".join(f"{name}={port}" for name, port in ports.items())


def _node_info(version: str) -> dict[str, str]:
    names = ("bootID", "containerRuntimeVersion", "kernelVersion", "machineID", "osImage", "systemUUID")
    more = {"architecture": "arm64", "operatingSystem": "linux", "kubeProxyVersion": version}
    return {**dict.fromkeys(names, ""), **more, "kubeletVersion": version}


@contextlib.contextmanager
def running(folder: Path, version: str = K3S_VERSION, restart_seconds: float = 0.5) -> Iterator[K3sCluster]:
    """The cluster in an empty folder, up; stopped at the end. Its processes must have ended in order."""
    cluster = K3sCluster(folder, version, restart_seconds)
    argv = [sys.executable, "-m", "lab.nodes", "--root", str(cluster.root), "--nodes", str(SEED)]
    argv += ["--ports", _told(cluster.ssh_ports), "--k3s-version", version, "--servers-elsewhere"]
    argv += ["--restart-seconds", str(restart_seconds), "--certs", str(cluster.api.certs)]
    log = folder / "nodes.log"
    with log.open("wb") as stream:
        nodes = subprocess.Popen(argv, cwd=PROJECT, stderr=stream, env=os.environ)
    try:
        laid_out = [cluster.root / name / VERSION for name in SERVERS]
        wait_until(lambda: nodes.poll() is not None or all(file.exists() for file in laid_out), PATIENCE)
        assert nodes.poll() is None, log.read_text()
        with cluster.api:
            wait_until(lambda: nodes.poll() is not None or all(cluster.answers(name) for name in SERVERS), PATIENCE)
            wait_until(lambda: nodes.poll() is not None or _write_known_hosts(cluster), PATIENCE)
            assert nodes.poll() is None, log.read_text()
            cluster.make_nodes()
            yield cluster
    finally:
        nodes.terminate()
        nodes.wait(20)
    for each in (log, cluster.api.log):
        assert "Traceback" not in each.read_text(), each.read_text()


def _write_known_hosts(cluster: K3sCluster) -> bool:
    lines = []
    for port in cluster.ssh_ports.values():
        shown = subprocess.run(["ssh-keyscan", "-t", "ed25519", "-p", str(port), "127.0.0.1"], capture_output=True)
        lines += [line for line in shown.stdout.decode().splitlines() if not line.startswith("#")]
    (cluster.ssh_folder / "known_hosts").write_text("\n".join([*lines, ""]))
    return len(lines) == len(cluster.ssh_ports)
