"""The virtual kubelet: the eight nodes as the API server sees them, and the pods that really run."""

import functools
import sys

from lab import credentials
from lab.kube import ApiError
from lab.layout import PROJECT, Lab
from lab.seed.apply import seed
from lab.seed.nodes import SEED_FILE
from lab.services import proxy
from lab.services.probes import https_status
from lab.supervisor.service import Service, ServiceError


def kubelet(lab: Lab) -> Service:
    """`python -m lab.kubelet`; ready when it answers over TLS. Then the cluster is seeded with what runs in it."""
    port = lab.ports.of("kubelet")
    kubeconfig = lab.given_kubeconfig or lab.kubeconfigs / "kubelet"

    async def ready() -> bool:
        return await https_status(f"https://127.0.0.1:{port}/healthz", lab.certs / "ca.crt") == 200

    return Service(
        name="kubelet",
        command=(
            *(sys.executable, "-m", "lab.kubelet", "--kubeconfig", str(kubeconfig)),
            *("--root", str(lab.data("kubelet")), "--port", str(port), "--certs", str(lab.certs)),
            *("--nodes", str(SEED_FILE), "--images", str(PROJECT / "lab" / "images.yaml")),
            *("--node-root", str(lab.nodes), "--k3s-version", lab.k3s_version),
            # A given API server shows a certificate that some other authority signed.
            *(("--anonymous",) if lab.given_kubeconfig else ()),
        ),
        after=("apiserver", "proxy"),
        ports=(port,),
        ready=ready,
        finish=functools.partial(_seed, lab),
        grace=8,
    )


async def _seed(lab: Lab) -> None:
    passwords = {name: credentials.read(lab.credentials, name) for name in (*credentials.EXPOSED, "valkey")}
    try:
        await seed(lab.admin_kubeconfig, passwords, proxy.addresses(lab))
    except* (ApiError, OSError) as refused:  # the objects are applied side by side, so several may be refused at once
        reasons = sorted({str(error) for error in refused.exceptions})
        raise ServiceError(f"the cluster could not be seeded: {reasons[0]}") from refused
