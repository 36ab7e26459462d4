"""Certificates: those that K3s makes for a node, and those that others show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

DATA = "/var/lib/rancher/k3s"
# What K3s renews, below DATA: github.com/k3s-io/k3s/pkg/util/services/services.go. No version has all of them.
OF_AGENTS = (
    "agent/client-k3s-controller.crt",
    "agent/client-kube-proxy.crt",
    "agent/client-kubelet.crt",
    "agent/serving-kubelet.crt",
)
OF_SERVERS = (
    *OF_AGENTS,
    "server/tls/client-admin.crt",
    "server/tls/client-auth-proxy.crt",
    "server/tls/client-controller.crt",
    "server/tls/client-k3s-cloud-controller.crt",
    "server/tls/client-k3s-controller.crt",
    "server/tls/client-kube-apiserver.crt",
    "server/tls/client-kube-proxy.crt",
    "server/tls/client-scheduler.crt",
    "server/tls/client-supervisor.crt",
    "server/tls/serving-kube-apiserver.crt",
    "server/tls/etcd/client.crt",
    "server/tls/etcd/peer-server-client.crt",
    "server/tls/etcd/server-client.crt",
)
# What it never renews: they last ten years.
AUTHORITIES = (
    "server/tls/client-ca.crt",
    "server/tls/request-header-ca.crt",
    "server/tls/server-ca.crt",
    "server/tls/etcd/peer-ca.crt",
    "server/tls/etcd/server-ca.crt",
)


@dataclass(frozen=True)
class Certificate:
    """`name` is a file below DATA, or the port that shows it."""

    name: str
    ends: datetime


@dataclass(frozen=True)
class NodeCertificates:
    """Those of one node. K3s runs there since `started` (None: it does not run), and `version` is its command's."""

    node: str
    leaves: tuple[Certificate, ...]
    authorities: tuple[Certificate, ...]
    started: datetime | None
    version: str


@dataclass(frozen=True)
class Site:
    """Who shows a certificate where: `name` is what clients call it by.

    `authorities` (PEM) are the only ones that its clients trust; "" where they trust the usual ones.
    """

    subject: str
    address: str
    port: int
    name: str
    authorities: str = ""


@dataclass(frozen=True)
class Shown:
    """What a site shows; `distrust` says why a client would not accept it, "" when it would."""

    ends: datetime
    distrust: str


@dataclass(frozen=True)
class Issued:
    """A Certificate of cert-manager: until when it is good (None: there is none yet), and what cert-manager says."""

    subject: str
    ends: datetime | None
    word: str


@dataclass(frozen=True)
class Unseen:
    """Takes the place of what could not be looked at; `problem` says why."""

    problem: str
