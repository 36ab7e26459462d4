"""The SSH nodes."""

import asyncio
import sys
from pathlib import Path

import asyncssh

from lab import files
from lab.layout import Lab
from lab.nodes.machine import NAS
from lab.power import is_on, names
from lab.seed.nodes import SEED_FILE
from lab.services import ssh_key
from lab.supervisor.service import Service

USER = "pi"
KEY = "ssh_pi"  # credential id of the private key with which that user logs in


def addresses(lab: Lab) -> dict[str, int]:
    """The SSH port on 127.0.0.1 of each node."""
    return {name: lab.ports.of(name) for name in names()}


def nodes(lab: Lab) -> Service:
    """`python -m lab.nodes`, all nodes and the NAS in one process.

    Ready when each that has power shows its host key; then what clients need lies in the folder `lab.ssh`.
    """
    ports = {**addresses(lab), NAS: lab.ports.of(NAS)}

    async def prepare() -> None:
        lab.nodes.mkdir(parents=True, exist_ok=True)
        files.write(lab.nodes / "authorized_keys", ssh_key.kept(lab, KEY).export_public_key())

    async def ready() -> bool:
        on = [name for name in ports if is_on(lab.nodes, name)]
        return all(await asyncio.gather(*(_is_itself(lab, name, ports[name]) for name in on)))

    async def finish() -> None:
        lab.ssh.mkdir(mode=0o700, exist_ok=True)
        files.write(lab.ssh / "id_ed25519", key_file(lab).read_text())
        lines = [f"[127.0.0.1]:{port} {' '.join(host_key(lab, name).split()[:2])}\n" for name, port in ports.items()]
        files.write(lab.ssh / "known_hosts", "".join(lines))

    return Service(
        name="nodes",
        command=(
            *(sys.executable, "-m", "lab.nodes", "--root", str(lab.nodes), "--nodes", str(SEED_FILE)),
            *("--ports", ",".join(f"{name}={port}" for name, port in ports.items())),
            *("--k3s-version", lab.k3s_version, "--certs", str(lab.certs)),
            *(("--servers-elsewhere",) if lab.given_kubeconfig is None else ()),
        ),
        prepare=prepare,
        ready=ready,
        finish=finish,
    )


def host_key(lab: Lab, name: str) -> str:
    """The node's public host key (`ssh-ed25519 AAAA… comment`); it exists once the nodes have been started."""
    return (lab.nodes / name / "etc" / "ssh" / "ssh_host_ed25519_key.pub").read_text()


def key_file(lab: Lab) -> Path:
    """The private key for the nodes."""
    return lab.credentials / KEY


async def _is_itself(lab: Lab, name: str, port: int) -> bool:
    """Whether the SSH server on that port shows this node's own host key."""
    try:
        shown = await asyncssh.get_server_host_key("127.0.0.1", port)
        own = asyncssh.import_public_key(host_key(lab, name))
    except (OSError, asyncssh.Error):
        return False
    return shown is not None and shown.public_data == own.public_data
