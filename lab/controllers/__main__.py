"""`python -m lab.controllers`: all controllers in one process, until SIGTERM."""

import argparse
import asyncio
import base64
import logging
import signal
import sys
from pathlib import Path

import yaml

from lab.controllers import evictions, garbage, namespaces, nodelifecycle, serviceaccounts
from lab.controllers.rival import is_managed
from lab.controllers.workloads import controller as workloads
from lab.kube import Kube

log = logging.getLogger(__name__)


def _authority(kubeconfig: Path) -> str:
    """The certificates that the kubeconfig trusts (PEM). ValueError when it has none."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    if inline := cluster.get("certificate-authority-data"):
        return base64.b64decode(inline).decode()
    if path := cluster.get("certificate-authority"):
        return Path(kubeconfig.parent, path).read_text()
    raise ValueError(f"{kubeconfig} names no certificate authority, which pods need to trust the API server")


async def _run(kubeconfig: Path, node_grace: float, *, unless_managed: bool) -> None:
    authority = _authority(kubeconfig)
    async with Kube(kubeconfig) as kube, asyncio.TaskGroup() as group:
        if unless_managed and await is_managed(kube):
            log.info("%s has a controller manager of its own: nothing is done here", kube.server)
            await asyncio.Event().wait()
        group.create_task(serviceaccounts.run(kube, authority))
        group.create_task(namespaces.run(kube))
        group.create_task(garbage.run(kube))
        group.create_task(nodelifecycle.run(kube, node_grace))
        group.create_task(evictions.run(kube))
        group.create_task(workloads.run(kube))


async def _until_stopped(kubeconfig: Path, node_grace: float, *, unless_managed: bool) -> None:
    running = asyncio.ensure_future(_run(kubeconfig, node_grace, unless_managed=unless_managed))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.controllers", description="The controllers of the lab.")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="how to reach the API server, and as whom")
    parser.add_argument(
        "--node-grace",
        type=float,
        default=40.0,
        metavar="SECONDS",
        help="without a heartbeat for that long, a node counts as unreachable",
    )
    parser.add_argument(
        "--unless-managed",
        action="store_true",
        help="look first whether the cluster has a controller manager, and leave everything to it",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_until_stopped(arguments.kubeconfig, arguments.node_grace, unless_managed=arguments.unless_managed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
