"""Copies off the cluster of what it cannot be restored without: the keys, the server token, an etcd snapshot."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from infra_ops.clients.ssh import Files, Machine
from infra_ops.facts.k3s import UnreadableOutput, parse_snapshots
from infra_ops.models.encryption import Key
from infra_ops.models.inventory import Inventory
from infra_ops.models.k3s import Snapshot
from infra_ops.models.plans import Step
from infra_ops.models.problems import Problem, Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.servers import Servers

TOKEN = "/var/lib/rancher/k3s/server/token"  # noqa: S105  a path
FRESH = timedelta(hours=24)
COPIED, NOT_COPIED = "copied", "not copied"


class NoPlace(Refusal):
    """The inventory names no machine off the cluster."""


class BadCopy(Problem):
    """What arrived is not what was sent."""


class OffCluster:
    """The folder of this cluster on the machine that keeps copies: 0700, its files 0600. Raises Unreachable."""

    def __init__(self, inventory: Inventory) -> None:
        machine = Machine.off_cluster(inventory)
        if machine is None or inventory.off_cluster is None:
            raise NoPlace("include/cluster.yaml names no off_cluster: keys and snapshots need a place off the cluster.")
        self._machine = machine
        self.folder = f"{inventory.off_cluster.path}/{inventory.name}"

    def digest(self, name: str) -> str:
        """The sha256 of a copy, from its bytes; "" when there is none that only its owner may read."""
        with self._machine.files() as files:
            private = files.mode(self.folder) == 0o700 and files.mode(f"{self.folder}/{name}") == 0o600
            return _digest(files, f"{self.folder}/{name}") if private else ""

    def has(self, name: str) -> bool:
        """Whether there is a copy. It has its name only since it was read back and found to be right."""
        with self._machine.files() as files:
            return files.mode(self.folder) == 0o700 and files.mode(f"{self.folder}/{name}") == 0o600

    def keep(self, name: str, pieces: Iterator[bytes]) -> None:
        """Copy, read back, compare, and only then give it its name. Raises BadCopy."""
        sent = hashlib.sha256()

        def counted() -> Iterator[bytes]:
            for piece in pieces:
                sent.update(piece)
                yield piece

        with self._machine.files() as files:
            files.make_private_folder(self.folder)
            part = f"{self.folder}/{name}.part"
            files.write_private(part, counted())
            if _digest(files, part) != sent.hexdigest():
                raise BadCopy(f"The copy of {name} at {self._machine.name} differs from what was sent.")
            files.rename(part, f"{self.folder}/{name}")


def _digest(files: Files, path: str) -> str:
    pieces = files.read(path)
    if pieces is None:
        return ""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def key_name(name: str) -> str:
    return f"encryption-{name}.json"


def key_file(key: Key) -> bytes:
    return json.dumps({"name": key.name, **key.as_dict()}).encode()


def key_copied(place: OffCluster, name: str, key: Callable[[], Key | None]) -> Action:
    """The step that copies a key; `key` is asked for when it is needed: at the time of the plan there is none yet."""
    file = key_name(name)
    step = Step(f"copy.{name}", f"{name} off the cluster", NOT_COPIED, COPIED)

    def look() -> str:
        return copied(place, file, key_file(found)) if (found := key()) else NOT_COPIED

    def copy() -> None:
        found = key()
        if found is None:
            raise BadCopy(f"There is no {name} to be copied.")
        place.keep(file, iter([key_file(found)]))

    return Action(step, look, lambda effects: effects.do(step.id, f"copy {name} off the cluster", copy))


def copied(place: OffCluster, file: str, content: bytes) -> str:
    return COPIED if place.digest(file) == hashlib.sha256(content).hexdigest() else NOT_COPIED


def token_state(place: OffCluster, server: Machine) -> str:
    return COPIED if place.digest("server-token") == token_digest(server) else NOT_COPIED


def token_digest(server: Machine) -> str:
    return server.run("sudo", "sha256sum", TOKEN).text.partition(" ")[0]


def token_copied(place: OffCluster, server: Machine) -> Action:
    """The step that copies the server token, without which no snapshot can be restored."""
    step = Step("copy.token", "the server token off the cluster", NOT_COPIED, COPIED)

    def copy() -> None:
        place.keep("server-token", server.stream("sudo", "cat", TOKEN))

    return Action(
        step,
        lambda: token_state(place, server),
        lambda effects: effects.do(step.id, "copy the server token off the cluster", copy),
    )


def snapshots(server: Machine) -> list[Snapshot]:
    """Those that a server has itself, newest first. Raises Problem."""
    try:
        return parse_snapshots(server.run("sudo", "k3s", "etcd-snapshot", "ls").text)
    except UnreadableOutput as error:
        raise Problem(f"{server.name}: {error}.") from None


def slug(name: str) -> str:
    """A key's name as a part of a snapshot's, which becomes the name of a Kubernetes object."""
    return re.sub("[^a-z0-9]+", "-", name.lower())


def newest(server: Machine, prefix: str) -> Snapshot | None:
    """The newest one on a server whose name begins so and that is younger than a day."""
    found = [each for each in snapshots(server) if each.name.startswith(f"{prefix}-{server.name}-")]
    return found[0] if found and datetime.now(UTC) - found[0].created < FRESH else None


def snapshot_taken(servers: Servers, server: str, prefix: str) -> Action:
    """The step that takes a snapshot before anything is changed; one that is younger than a day will do."""
    step = Step("snapshot", f"an etcd snapshot {prefix} on {server}", "none today", "taken")
    machine = servers.machine(server)

    def look() -> str:
        return step.after if newest(machine, prefix) else step.before

    def take() -> None:
        machine.run("sudo", "k3s", "etcd-snapshot", "save", "--name", prefix, seconds=300)

    return Action(step, look, lambda effects: effects.do(step.id, f"take the snapshot {prefix}", take))


def snapshot_copied(servers: Servers, server: str, prefix: str, place: OffCluster) -> Action:
    """The step that copies it."""
    step = Step("copy.snapshot", f"the snapshot {prefix} off the cluster", NOT_COPIED, COPIED)
    machine = servers.machine(server)

    def look() -> str:
        found = newest(machine, prefix)
        return COPIED if found and place.has(found.name) else NOT_COPIED

    def copy() -> None:
        found = newest(machine, prefix)
        if found is None:
            raise BadCopy(f"The snapshot {prefix} on {server} is gone.")
        path = found.location.removeprefix("file://")
        place.keep(found.name, machine.stream("sudo", "cat", path, seconds=1800))

    return Action(step, look, lambda effects: effects.do(step.id, "copy the snapshot off the cluster", copy))
