"""Which certificates K3s has on a node: who signs them, for whom, and for what. Standard library only.

Paths and names: github.com/k3s-io/k3s/pkg/daemons/control/deps and pkg/util/services (v1.32).
"""

from dataclasses import dataclass
from pathlib import Path

TLS = Path("var/lib/rancher/k3s/server/tls")
AGENT = Path("var/lib/rancher/k3s/agent")
AUTHORITIES = ("server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca")


@dataclass(frozen=True)
class Leaf:
    """`path` of the certificate, without `.crt`; `{node}` in names is the node's."""

    service: str
    path: Path
    authority: str
    common_name: str
    organization: str = ""
    usages: tuple[str, ...] = ("ClientAuth",)


_SERVING = ("ServerAuth",)
_BOTH = ("ServerAuth", "ClientAuth")
OF_SERVER = (
    Leaf("admin", TLS / "client-admin", "client-ca", "system:admin", "system:masters"),
    Leaf("api-server", TLS / "client-kube-apiserver", "client-ca", "system:apiserver", "system:masters"),
    Leaf("api-server", TLS / "serving-kube-apiserver", "server-ca", "kube-apiserver", usages=_SERVING),
    Leaf("auth-proxy", TLS / "client-auth-proxy", "request-header-ca", "system:auth-proxy"),
    Leaf("cloud-controller", TLS / "client-k3s-cloud-controller", "client-ca", "k3s-cloud-controller-manager"),
    Leaf("controller-manager", TLS / "client-controller", "client-ca", "system:kube-controller-manager"),
    Leaf("etcd", TLS / "etcd/client", "etcd/server-ca", "etcd-client"),
    Leaf("etcd", TLS / "etcd/server-client", "etcd/server-ca", "etcd-server", usages=_BOTH),
    Leaf("etcd", TLS / "etcd/peer-server-client", "etcd/peer-ca", "etcd-peer", usages=_BOTH),
    Leaf("scheduler", TLS / "client-scheduler", "client-ca", "system:kube-scheduler"),
    Leaf("supervisor", TLS / "client-supervisor", "client-ca", "system:k3s-supervisor", "system:masters"),
)
OF_AGENT = (
    Leaf("k3s-controller", AGENT / "client-k3s-controller", "client-ca", "system:k3s-controller"),
    Leaf("kube-proxy", AGENT / "client-kube-proxy", "client-ca", "system:kube-proxy"),
    Leaf("kubelet", AGENT / "client-kubelet", "client-ca", "system:node:{node}", "system:nodes"),
    Leaf("kubelet", AGENT / "serving-kubelet", "server-ca", "{node}", usages=_SERVING),
)


def of(role: str) -> tuple[Leaf, ...]:
    """Those of a node with that role; a server has an agent's too."""
    return OF_SERVER + OF_AGENT if role == "server" else OF_AGENT


def renewal_days(version: str) -> int:
    """Within how many days of its end a start renews a leaf (v1.32.5 and newer: 120)."""
    return 120 if number(version) >= (1, 32, 5) else 90


def number(version: str) -> tuple[int, ...]:
    """`v1.32.2+k3s1` as (1, 32, 2)."""
    return tuple(int(part) for part in version.removeprefix("v").partition("+")[0].split("."))
