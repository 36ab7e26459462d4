"""The K3s servers: what each says of itself at its own address, and restarting one without losing quorum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from infra_ops.checks.quorum import lost_without
from infra_ops.clients.ansible import Ansible
from infra_ops.clients.kubernetes import Cluster, ClusterError
from infra_ops.clients.retries import Patience
from infra_ops.clients.ssh import Machine
from infra_ops.models.inventory import Inventory, Node
from infra_ops.models.problems import Problem
from infra_ops.operations.waiting import asked_until

START_SECONDS = 300  # a Pi takes tens of seconds, and its API some more to be in step
RESTART_SECONDS = 120
# Performs one effect of a step: what is written in a few words, and the call that writes it.
Write = Callable[[str, Callable[[], Any]], Any]
# Says what a server lacks to serve as before, "" for nothing; may raise ClusterError.
Lacks = Callable[["Servers", str], str]


class NotBack(Problem):
    """A server was restarted and does not serve as the others do."""


class QuorumAtRisk(Problem):
    """Restarting a server now would stop the datastore."""


class Servers:
    """The servers of the inventory. Every call raises ClusterError or Unreachable when it gets no answer."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.nodes = {node.name: node for node in inventory.nodes if node.role == "server"}
        self.cluster = Cluster(patience=Patience.through_a_restart())
        self.ansible = Ansible(inventory)
        self._machines: dict[str, Machine] = {}

    @property
    def names(self) -> list[str]:
        return list(self.nodes)

    def machine(self, name: str) -> Machine:
        """A server, by SSH."""
        if name not in self._machines:
            self._machines[name] = Machine.of(self.nodes[name])
        return self._machines[name]

    def api(self, name: str, *, patience: Patience | None = None) -> Cluster:
        """A server's own API, not that of whoever answers first."""
        return Cluster(own_address(self.nodes[name]), patience=patience)

    def node(self, name: str) -> dict[str, Any]:
        """Its Node object."""
        return self.cluster.get(f"/api/v1/nodes/{name}")

    def count_secrets(self, name: str) -> int:
        """How many Secrets this server lists. Its /readyz may say ok while it cannot read a single one.

        Pages, because a list in pages is read from the datastore and not from what the server remembers.
        """
        return sum(1 for _ in self.api(name, patience=Patience(total=0)).list("/api/v1/secrets"))

    def member_is_healthy(self, name: str) -> bool:
        """Whether its API server reaches its own etcd member. No answer is no member for whoever counts a quorum."""
        try:
            return self.api(name, patience=Patience(total=0)).text("/readyz/etcd").strip() == "ok"
        except ClusterError:
            return False

    def health(self) -> dict[str, bool]:
        """All members."""
        return {name: self.member_is_healthy(name) for name in self.names}

    def health_after_restarts(self) -> dict[str, bool]:
        """The same, once a restart that somebody asked for has had its time: a run may begin while one is under way."""
        return asked_until(lambda found: all(found.values()), self.health, RESTART_SECONDS)


def own_address(node: Node) -> str:
    """Where a server's own API listens."""
    return f"https://{f'[{node.address}]' if ':' in node.address else node.address}:{node.api_port}"


def restart(servers: Servers, name: str, started_before: float, write: Write, lacks: Lacks | None = None) -> None:
    """Restart K3s on a server if it runs since before `started_before` (seconds since 1970); see it serve again.

    Nothing is restarted twice, whoever was interrupted where. Raises QuorumAtRisk, NotBack and PlaybookFailed.
    """
    refuse_lost_quorum(servers, name)
    start_again(servers.ansible, name, started_before, write)
    wait_until_it_serves(servers, name, lacks or equal_secrets)


def start_again(ansible: Ansible, name: str, started_before: float, write: Write) -> None:
    """The restart alone, on servers and agents: it is over when the unit counts as started. Raises PlaybookFailed."""
    variables = {"started_before": math.ceil(started_before)}
    write(f"restart K3s on {name}", lambda: ansible.play("restart_server", name, variables))


def refuse_lost_quorum(servers: Servers, name: str) -> None:
    """Raises QuorumAtRisk unless the other members are a quorum, or the server is alone anyway."""
    if why := lost_without(name, servers.health()):
        raise QuorumAtRisk(f"{name} is not restarted, or the datastore would stop: {why}.")


def wait_until_it_serves(servers: Servers, name: str, lacks: Lacks, seconds: float = START_SECONDS) -> None:
    """Returns when the server lacks nothing. Raises NotBack."""

    def missing() -> str:
        try:
            return lacks(servers, name)
        except ClusterError as error:
            return str(error)

    if why := asked_until(lambda missing: not missing, missing, seconds):
        raise NotBack(f"{name} does not serve {seconds:.0f} s after its restart: {why}.")


def equal_secrets(servers: Servers, name: str) -> str:
    """Its member is healthy and it lists as many Secrets as another one: whoever may list them asks for this."""
    if missing := ready(servers, name):
        return missing
    mine = servers.count_secrets(name)
    for other in servers.names:
        if other == name:
            continue
        try:
            theirs = servers.count_secrets(other)
        except ClusterError:
            continue  # another one that is ill is not this one's fault; the next restart asks for a quorum
        return "" if mine == theirs else f"it lists {mine} Secrets, and {other} {theirs}"
    return ""


def ready(servers: Servers, name: str) -> str:
    """Its member is healthy: all that can be asked of a server by those who may not list Secrets."""
    return "" if servers.member_is_healthy(name) else "its etcd member is not healthy"
