"""The Kubernetes API server of the lab, and the controllers beside it."""

import sys

from lab import kubeconfigs
from lab.layout import Lab
from lab.seed.nodes import SEED_FILE
from lab.seed.nodes import load as load_nodes
from lab.services.probes import https_status
from lab.supervisor.service import Service


def url(lab: Lab) -> str:
    """Where the lab's own API server listens."""
    return f"https://127.0.0.1:{lab.ports.of('apiserver')}"


def servers(lab: Lab) -> dict[str, int]:
    """The port on 127.0.0.1 of each K3s server's own API; none on a given API server."""
    if lab.given_kubeconfig is not None:
        return {}
    return {node.name: lab.ports.of(f"{node.name}-api") for node in load_nodes(SEED_FILE) if node.role == "server"}


def apiserver(lab: Lab) -> Service:
    """`python -m lab.apiserver`, all servers in one process; ready when the common port answers for one of them.

    /readyz answers 200 there, with a certificate of the lab's authority.
    """
    data = lab.data("apiserver")
    own = servers(lab)

    async def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)
        kubeconfigs.write_tokens(lab)
        kubeconfigs.write_own(lab, url(lab))

    async def ready() -> bool:
        return await https_status(f"{url(lab)}/readyz", lab.certs / "ca.crt") == 200

    return Service(
        name="apiserver",
        command=(
            *(sys.executable, "-m", "lab.apiserver", "--data", str(data), "--port", str(lab.ports.of("apiserver"))),
            *("--certs", str(lab.certs), "--tokens", str(kubeconfigs.token_path(lab))),
            *("--servers", ",".join(f"{name}={port}" for name, port in own.items()), "--node-root", str(lab.nodes)),
        ),
        ports=(lab.ports.of("apiserver"), *own.values()),
        prepare=prepare,
        ready=ready,
    )


def controllers(lab: Lab) -> Service:
    """`python -m lab.controllers`, which serves nobody. On a given API server it yields to a controller manager."""
    given = lab.given_kubeconfig
    identity = ("--kubeconfig", str(given or lab.kubeconfigs / "controllers"))
    return Service(
        name="controllers",
        command=(sys.executable, "-m", "lab.controllers", *identity, *(("--unless-managed",) if given else ())),
        after=("apiserver",),
    )
