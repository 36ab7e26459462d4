"""Lays out the folder that stands for a node's disk."""

import os
import secrets
import shutil
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import asyncssh

from lab import files
from lab.k3s import certificates
from lab.nodes import k3s, launch
from lab.nodes.machine import NAS_USER, Machine
from lab.nodes.places import CONFIG, JOURNAL, TOKEN, UNITS, VERSION

# The paths of a node that are its own; everything else is the host's.
MEMORY = "dev/shm"  # a tmpfs on a real node; here a folder, so that commands and SFTP see the same
OWN = ("etc", "root", "home", "opt", "srv", "tmp", MEMORY, "var/lib", "var/log", "usr/local/bin")
SHARES = "volume1"  # of the NAS only

# Without these from the host's /etc, programs of the host do not work.
_FROM_HOST = (
    *("alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "debian_version", "group", "inputrc"),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "localtime", "mime.types", "nsswitch.conf"),
    *(
        "os-release",
        "profile",
        "protocols",
        "resolv.conf",
        "services",
        "ssl/certs",
        "ssl/openssl.cnf",
        "terminfo",
        "timezone",
    ),
)
_BIN = Path(__file__).with_name("bin")


def prepare(machines: Iterable[Machine], now: float, version: str, certs: Path | None = None) -> None:
    """Makes what is missing in each node's folder and keeps what is there; scheduled snapshots are caught up to `now`.

    They run K3s `version` from now on. Servers serve under the authority in the folder `certs`, if one is given.
    As far as the nodes know, they ran all the time that the lab was down.
    """
    machines = list(machines)
    token = _server_token(machines)
    certificates.prepare((machine.root for machine in machines if machine.role == "server"), certs)
    for machine in machines:
        for folder in (*_own(machine), machine.home.lstrip("/")):
            (machine.root / folder).mkdir(parents=True, exist_ok=True)
        (machine.root / "root").chmod(0o700)
        (machine.root / "tmp").chmod(0o1777)
        (machine.root / MEMORY).chmod(0o1777)
        if not (machine.root / "etc/hostname").exists():
            _write_etc(machine, machines)
        _make_host_key(machine)
        _install_commands(machine)
        if machine.role == "nas":
            (machine.root / SHARES / NAS_USER).mkdir(mode=0o700, exist_ok=True)
            continue
        _install_k3s(machine, machines, token)
        files.write(machine.root / VERSION, f"{version}\n", mode=0o644)  # last: the API server's process waits for it
        if machine.role == "server":
            newest = int(now) // k3s.SNAPSHOT_PERIOD * k3s.SNAPSHOT_PERIOD
            for age in reversed(range(k3s.SNAPSHOT_RETENTION)):
                k3s.take_scheduled_snapshot(machine.root, machine.name, newest - age * k3s.SNAPSHOT_PERIOD)


def binds(machine: Machine) -> tuple[tuple[Path, PurePosixPath], ...]:
    """The node's own folders and their paths on the node."""
    return tuple((machine.root / path, PurePosixPath("/", path)) for path in _own(machine))


def forget(machine: Machine) -> None:
    """Empties what a node has only in its memory."""
    for path in (machine.root / MEMORY).iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _own(machine: Machine) -> tuple[str, ...]:
    return (*OWN, SHARES) if machine.role == "nas" else OWN


def _write_etc(machine: Machine, machines: list[Machine]) -> None:
    etc = machine.root / "etc"
    for name in _FROM_HOST:
        _copy_readable(Path("/etc", name), etc / name)
    accounts = [line for line in Path("/etc/passwd").read_text().splitlines() if _is_system_account(line)]
    files.write(
        etc / "passwd", "\n".join([*accounts, f"{machine.user}:x:1000:1000::{machine.home}:/bin/bash", ""]), mode=0o644
    )
    hosts = ["127.0.0.1 localhost", f"127.0.1.1 {machine.name}", *(f"{m.address} {m.name}" for m in machines), ""]
    files.write(etc / "hosts", "\n".join(hosts), mode=0o644)
    files.write(etc / "machine-id", f"{uuid.uuid4().hex}\n", mode=0o444)
    files.write(etc / "hostname", f"{machine.name}\n", mode=0o644)  # last: it marks the folder as complete


def _is_system_account(line: str) -> bool:
    uid = int(line.split(":")[2])
    return uid < 1000 or uid == 65534


def _copy_readable(source: Path, target: Path) -> None:
    """Copies a file or folder, without what this user may not read."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(parents=True, exist_ok=True)
        if os.access(source, os.R_OK | os.X_OK):
            for entry in source.iterdir():
                _copy_readable(entry, target / entry.name)
    elif source.is_symlink() or (source.is_file() and os.access(source, os.R_OK)):
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def _make_host_key(machine: Machine) -> None:
    if machine.host_key.exists():
        return
    key = asyncssh.generate_private_key("ssh-ed25519", comment=f"root@{machine.name}")
    machine.host_key.parent.mkdir(exist_ok=True)
    public = machine.host_key.with_name(f"{machine.host_key.name}.pub")
    files.write(public, key.export_public_key(), mode=0o644)
    files.write(machine.host_key, key.export_private_key())


def _install_commands(machine: Machine) -> None:
    """Written anew at each start: they name the interpreter, and a newer lab brings newer ones."""
    target = machine.root / "usr/local/bin"
    interpreter = Path(sys.executable)
    if machine.role != "nas":
        for script in _BIN.iterdir():
            files.write(target / script.name, script.read_bytes(), mode=0o755)
        for name in (*launch.COMMANDS, *(launch.ON_SERVERS if machine.role == "server" else ())):
            start = f'#!/bin/sh\nexec {interpreter} -I -S {Path(launch.__file__)} {name} "$@"\n'
            files.write(target / name, start, mode=0o755)
    # Ansible looks for an interpreter on the node; not every host has one in /usr/bin.
    link = target / "python3"
    link.unlink(missing_ok=True)
    link.symlink_to(interpreter.resolve())


def _server_token(machines: list[Machine]) -> str:
    """The token that all servers share; invented once."""
    for machine in machines:
        file = machine.root / TOKEN
        if file.exists():
            return file.read_text()
    return f"K10{secrets.token_hex(32)}::server:{secrets.token_hex(16)}\n"


def _install_k3s(machine: Machine, machines: list[Machine], token: str) -> None:
    first = next(m for m in machines if m.role == "server")
    if machine.role == "server":
        _write_once(machine.root / TOKEN, token)
        join = "cluster-init: true" if machine is first else f"server: https://{first.address}:6443"
        config = [
            join,
            'write-kubeconfig-mode: "0600"',
            'etcd-snapshot-schedule-cron: "0 */6 * * *"',
            f"etcd-snapshot-retention: {k3s.SNAPSHOT_RETENTION}",
        ]
    else:
        config = [f"server: https://{first.address}:6443", f"token: {token.strip()}"]
    _write_once(machine.root / CONFIG, "\n".join([*config, ""]))
    _write_once(machine.root / UNITS / machine.unit, "active\n")
    (machine.root / JOURNAL).mkdir(exist_ok=True)


def _write_once(path: Path, content: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, content)
