"""What certificates are measured on: the nodes, and whoever shows one in the cluster."""

from __future__ import annotations

from datetime import timedelta

from infra_ops.checks.certificates import TIME_TO_START
from infra_ops.clients import tls
from infra_ops.clients.ssh import Machine
from infra_ops.facts import sites
from infra_ops.facts.certificates import read_node
from infra_ops.facts.nodes import read_nodes
from infra_ops.models.certificates import Certificate, Issued, NodeCertificates, Shown, Site, Unseen
from infra_ops.models.inventory import Inventory
from infra_ops.models.problems import Problem
from infra_ops.operations.servers import Servers
from infra_ops.operations.waiting import asked_until


class Estate:
    """Made anew for every task."""

    def __init__(self, inventory: Inventory) -> None:
        self.servers = Servers(inventory)
        self.nodes = {node.name: node for node in inventory.nodes}
        self._machines = {node.name: Machine.of(node) for node in inventory.nodes}

    def seen(self, name: str) -> NodeCertificates:
        """A node's certificates, and of a server also the one that its API shows: K3s keeps that one in no file of its
        own kind. Raises Problem.
        """
        node = self.nodes[name]
        found = read_node(self._machines[name], node.role)
        if node.role == "agent":
            return found
        shown = tls.shown(node.address, node.api_port, node.address)
        leaves = (*found.leaves, Certificate(f"port {node.api_port}", shown.ends))
        return NodeCertificates(name, leaves, found.authorities, found.started, found.version)

    def seen_through_a_start(self, name: str, patience: timedelta = TIME_TO_START) -> NodeCertificates:
        """The same when K3s may be starting there: silence is borne for some minutes."""
        return asked_until(lambda _: True, lambda: self.seen(name), patience.total_seconds(), bearing=(Problem,))

    def all(self) -> dict[str, NodeCertificates | Unseen]:
        """Those of every node, as far as it answers."""
        return {name: self._seen_or_why(name) for name in self.nodes}

    def running_versions(self) -> dict[str, str]:
        """What each node's kubelet runs. Raises ClusterError."""
        return {node.name: node.kubelet_version for node in read_nodes(self.servers.cluster)}

    def ingresses(self) -> dict[str, Shown | Unseen]:
        """What ingresses show, by their host. Raises ClusterError."""
        return _shown(sites.ingresses(self.servers.cluster))

    def webhooks(self) -> dict[str, Shown | Unseen]:
        """What admission webhooks show. Raises ClusterError."""
        return _shown(sites.webhooks(self.servers.cluster))

    def issued(self) -> list[Issued]:
        """What cert-manager has issued. Raises ClusterError."""
        return sites.issued(self.servers.cluster)

    def _seen_or_why(self, name: str) -> NodeCertificates | Unseen:
        try:
            return self.seen(name)
        except Problem as problem:
            return Unseen(str(problem).rstrip("."))


def _shown(found: dict[str, Site | Unseen]) -> dict[str, Shown | Unseen]:
    return {subject: site if isinstance(site, Unseen) else _handshake(site) for subject, site in found.items()}


def _handshake(site: Site) -> Shown | Unseen:
    try:
        return tls.shown(site.address, site.port, site.name, site.authorities)
    except Problem as problem:
        return Unseen(str(problem).rstrip("."))
