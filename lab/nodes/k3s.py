"""Stand-in for the K3s command line on a node, as far as the runbooks use it; `/usr/local/bin/k3s` runs it.

Modelled on K3s v1.32: `--version` and `etcd-snapshot ls|save`. Output and errors are the real ones: on an agent, or
without sudo, there is no server token to read; a stopped server refuses the connection. Its state is files below
/var/lib/rancher/k3s, /etc/rancher/k3s and /var/lib/lab.

Weakness: a snapshot that was saved holds the member's bytes, but is no etcd database; a scheduled one is an empty
sparse file with a real name and size.

It imports only the standard library and what is like it: on the node it is started without packages (see `launch`).
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.nodes.places import CONFIG, SNAPSHOTS, TOKEN, UNITS, VERSION

SNAPSHOT_PERIOD = 6 * 3600  # seconds; etcd-snapshot-schedule-cron: "0 */6 * * *"
SNAPSHOT_RETENTION = 48  # scheduled ones; etcd-snapshot-retention
_SNAPSHOT_BYTES = 24_117_279

_SCHEDULED = "etcd-snapshot"
# What `k3s etcd-snapshot` understands of the server's configuration file; it warns of every other key.
_SNAPSHOT_FLAGS = {
    "debug",
    "node-name",
    "data-dir",
    "etcd-snapshot-dir",
    "etcd-snapshot-name",
    "etcd-snapshot-compress",
}


class Failure(Exception):
    """Ends the command as K3s does: the message as a fatal log line, exit code 1."""


def take_snapshot(root: Path, prefix: str, node: str, taken_at: int, copy: Callable[[Path], None] | None = None) -> str:
    """Writes a snapshot file below the node's `root`, named as K3s names it; the name.

    `copy` writes the datastore into it; a file that is smaller than snapshots are on the real cluster is filled up with
    zeros, so that sizes can be compared.
    """
    folder = root / SNAPSHOTS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{prefix}-{node}-{taken_at}"
    part = folder / f"{name}.part"
    part.touch(mode=0o600)
    if copy:
        copy(part)
    os.truncate(part, max(part.stat().st_size, _SNAPSHOT_BYTES + taken_at // 60 % 4096))
    os.utime(part, (taken_at, taken_at))
    part.replace(folder / name)
    return name


def take_scheduled_snapshot(root: Path, node: str, taken_at: int) -> None:
    """What the server does by its schedule: take one, then keep the newest SNAPSHOT_RETENTION scheduled ones."""
    if not (root / SNAPSHOTS / f"{_SCHEDULED}-{node}-{taken_at}").exists():
        take_snapshot(root, _SCHEDULED, node, taken_at)
    scheduled = sorted((root / SNAPSHOTS).glob(f"{_SCHEDULED}-*"), key=_taken_at)
    for old in scheduled[:-SNAPSHOT_RETENTION]:
        old.unlink()


def _taken_at(snapshot: Path) -> int:
    return int(snapshot.name.rpartition("-")[2])


def _rfc3339(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _log(level: str, message: str) -> None:
    """A line as logrus writes it: short on a terminal, key=value elsewhere."""
    if sys.stderr.isatty():
        print(f"{level.upper()[:4]}[0000] {message}", file=sys.stderr)
    else:
        text = json.dumps(message, ensure_ascii=False)
        print(f'time="{_rfc3339(int(time.time()))}" level={level} msg={text}', file=sys.stderr)


class _Server:
    """The K3s server of this node, as a snapshot command sees it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.node = (root / "etc/hostname").read_text().strip()

    def connect(self) -> str:
        """Reads the token and reaches the server; the short hash of the token. Failure with K3s' words if it cannot."""
        self._warn_of_unknown_flags()
        if "SUDO_USER" not in os.environ:
            raise Failure(f"open {os.environ.get('HOME', '')}/.rancher/k3s/server/token: no such file or directory")
        try:
            token = (self.root / TOKEN).read_text().strip()
        except FileNotFoundError:
            raise Failure(f"open /{TOKEN}: no such file or directory") from None
        if (self.root / UNITS / "k3s").read_text().strip() != "active":
            reason = "dial tcp 127.0.0.1:6443: connect: connection refused"
            raise Failure(f'failed to get CA certs: Get "https://127.0.0.1:6443/cacerts": {reason}')
        return hashlib.sha256(token.encode()).hexdigest()[:12]

    def _warn_of_unknown_flags(self) -> None:
        try:
            lines = (self.root / CONFIG).read_text().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            key, colon, _ = line.partition(":")
            if colon and key == key.strip() and not key.startswith(("#", "-")) and key not in _SNAPSHOT_FLAGS:
                _log("warning", f"Unknown flag --{key} found in config.yaml, skipping")

    def copy_to(self, file: Path) -> None:
        """Let the server's member of the datastore write itself there. Nothing where the lab has none."""
        from lab.k3s.leaves import TLS
        from lab.nodes import member_client

        if not member_client.is_there(self.root):
            return
        etcd = self.root / TLS / "etcd"
        files = (str(etcd / "server-ca.crt"), str(etcd / "client.crt"), str(etcd / "client.key"))
        question = {"do": "snapshot", "path": str(file.relative_to(self.root))}
        try:
            member_client.ask(self.root, "https://127.0.0.1:2379", files, question)
        except member_client.Unreachable as error:
            raise Failure(f"failed to save snapshot: {error}") from None

    def snapshots(self) -> list[Path]:
        """Finished snapshots, oldest first."""
        files = (file for file in (self.root / SNAPSHOTS).iterdir() if not file.name.endswith(".part"))
        return sorted(files, key=lambda file: (_taken_at(file), file.name))


def _list_snapshots(server: _Server, arguments: list[str]) -> None:
    options = _options(arguments, {"-o": "output", "--output": "output"})
    output = options.get("output", "table")
    if output not in ("table", "json"):
        raise Failure(f"invalid output format: {output}")
    token_hash = server.connect()
    snapshots = server.snapshots()
    if output == "json":
        items = [_snapshot_object(file, server.node, token_hash) for file in snapshots]
        print(json.dumps({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}, indent=4))
        return
    rows = [("Name", "Location", "Size", "Created")]
    for file in snapshots:
        rows.append((file.name, _location(file), str(file.stat().st_size), _rfc3339(_taken_at(file))))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print(" ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]))


def _location(file: Path) -> str:
    return f"file:///{SNAPSHOTS}/{file.name}"


def _snapshot_object(file: Path, node: str, token_hash: str) -> dict[str, object]:
    """The ETCDSnapshotFile that K3s lists for a local file (k3s.cattle.io/v1)."""
    return {
        "kind": "ETCDSnapshotFile",
        "apiVersion": "k3s.cattle.io/v1",
        "metadata": {
            "name": f"local-{file.name}",
            "creationTimestamp": None,
            "labels": {"etcd.k3s.cattle.io/snapshot-storage-node": node},
            "annotations": {"etcd.k3s.cattle.io/snapshot-token-hash": token_hash},
        },
        "spec": {"snapshotName": file.name, "nodeName": node, "location": _location(file)},
        "status": {
            "size": str(file.stat().st_size),
            "creationTime": _rfc3339(_taken_at(file)),
            "readyToUse": True,
        },
    }


def _save_snapshot(server: _Server, arguments: list[str]) -> None:
    options = _options(arguments, {"--name": "name"})
    server.connect()
    name = take_snapshot(server.root, options.get("name", "on-demand"), server.node, int(time.time()), server.copy_to)
    _log("info", f"Snapshot {name} saved.")


def _options(arguments: list[str], known: dict[str, str]) -> dict[str, str]:
    """`--name value` and `--name=value` as a mapping. Failure names what is not understood."""
    options = {}
    rest = list(arguments)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag not in known:
            raise Failure(f"flag provided but not defined: {flag}")
        if not equals and not rest:
            raise Failure(f"flag needs an argument: {flag}")
        options[known[flag]] = value if equals else rest.pop(0)
    return options


# What only some commands need is imported there: the others would take twice as long to start.


def _encrypt(root: Path, command: str, arguments: list[str]) -> None:
    from lab.nodes import k3s_encrypt

    options = _options(arguments, {"--output": "output", "-o": "output"})
    if "SUDO_USER" not in os.environ or not (root / TOKEN).exists():
        raise Failure(
            f"open /{TOKEN}: {'permission denied' if (root / TOKEN).exists() else 'no such file or directory'}"
        )
    try:
        print(k3s_encrypt.run(root, command, options.get("output", "text"), (root / VERSION).read_text().strip()))
    except k3s_encrypt.Failure as failure:
        raise Failure(str(failure)) from None


def _certificate(root: Path, command: str, arguments: list[str]) -> None:
    from lab.nodes import k3s_certificate

    options = _options(arguments, {"--output": "output", "-o": "output", "--service": "service", "-s": "service"})
    role = "server" if (root / TOKEN).exists() else "agent"
    if "SUDO_USER" not in os.environ:
        raise Failure(f"mkdir /var/lib/rancher/k3s/{role}: permission denied")
    _log(
        "info", f"{role.capitalize()} detected, checking agent{' and server' if role == 'server' else ''} certificates"
    )
    if command == "rotate":
        for service in k3s_certificate.remove(root, role, list(filter(None, options.get("service", "").split(",")))):
            _log("info", f"Rotating certificates for {service}")
        return
    output = options.get("output", "text")
    if output not in ("table", "text"):
        raise Failure(f"invalid output format {output}")
    version = (root / VERSION).read_text().strip()
    for line in k3s_certificate.check(root, role, version, output):
        print(line)


_SNAPSHOT_COMMANDS = {
    "ls": _list_snapshots,
    "list": _list_snapshots,
    "l": _list_snapshots,
    "save": _save_snapshot,
}


def main(arguments: Sequence[str]) -> int:
    # Without namespaces the node's files are not at their paths; the node's shell then says where they are.
    root = Path(os.environ.get("LAB_NODE_ROOT", "/"))
    try:
        match list(arguments):
            case ["--version" | "-v"]:
                print(f"k3s version {(root / VERSION).read_text().strip()} (381620ef)\ngo version go1.23.6")
            case ["etcd-snapshot", command, *rest] if command in _SNAPSHOT_COMMANDS:
                _SNAPSHOT_COMMANDS[command](_Server(root), rest)
            case ["secrets-encrypt", ("status" | "enable" | "disable" | "rotate-keys") as command, *rest]:
                _encrypt(root, command, rest)
            case ["certificate", ("check" | "rotate") as command, *rest]:
                _certificate(root, command, rest)
            case other:
                raise Failure(f"the lab's stand-in for k3s does not know: k3s {' '.join(other)}")
    except Failure as failure:
        _log("fatal", str(failure))
        return 1
    return 0
