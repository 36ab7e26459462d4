"""`python -m lab.kubelet`: the virtual kubelet of all nodes and the scheduler, in one process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from lab import K3S_VERSION, sandbox
from lab.errors import LabError
from lab.kube import ApiError, Kube
from lab.kubelet import processes
from lab.kubelet.events import Recorder
from lab.kubelet.images import Images
from lab.kubelet.manager import Manager
from lab.kubelet.nodes import Nodes
from lab.kubelet.references import PLURALS
from lab.kubelet.runtime import Runtime
from lab.kubelet.scheduler import Scheduler
from lab.kubelet.server import Server
from lab.seed.nodes import load as load_nodes

log = logging.getLogger("lab.kubelet")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.kubelet", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="who the kubelet is towards the API server")
    parser.add_argument("--root", type=Path, required=True, help="folder for volumes, logs and homes of containers")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1 for logs and exec")
    parser.add_argument("--certs", type=Path, required=True, help="folder with kubelet.crt, kubelet.key and ca.crt")
    parser.add_argument("--nodes", type=Path, required=True, help="nodes.yaml")
    parser.add_argument("--images", type=Path, required=True, help="images.yaml")
    parser.add_argument("--node-root", type=Path, help="folder with a folder for each node (default: ROOT/nodes)")
    parser.add_argument("--k3s-version", default=K3S_VERSION, metavar="VERSION", help="which the nodes claim to run")
    parser.add_argument("--heartbeat", type=float, default=10.0, metavar="SECONDS", help="between renewals of Leases")
    parser.add_argument(
        "--volume-lag",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="until a changed Secret or ConfigMap shows in volumes (default: %(default).0f, as in a real kubelet)",
    )
    parser.add_argument("--anonymous", action="store_true", help="serve logs and exec to callers without certificate")
    parser.add_argument(
        "--no-namespaces", action="store_true", help="rewrite mount paths even if this machine allows namespaces"
    )
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    root: Path = arguments.root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o700)  # volumes hold secrets
    left = processes.sweep(root)
    if left:
        log.info("killed %d processes that an earlier kubelet left", left)
    node_root = (arguments.node_root or root / "nodes").resolve()
    async with Kube(arguments.kubeconfig) as kube:
        events = Recorder(kube)
        runtime = Runtime(
            kube=kube,
            events=events,
            images=_images(arguments.images),
            root=root,
            node_root=node_root,
            path=os.environ.get("PATH", os.defpath),
            namespaces=sandbox.available() and not arguments.no_namespaces,
            volume_lag=arguments.volume_lag,
        )
        manager = Manager(runtime, is_on=lambda name: nodes.is_on(name))
        nodes = Nodes(
            kube,
            load_nodes(arguments.nodes),
            version=arguments.k3s_version,
            port=arguments.port,
            folder=node_root,
            heartbeat=arguments.heartbeat,
            switched=manager.switch,
        )
        scheduler = Scheduler(kube, events)
        await nodes.register()
        server = Server(manager, certs=arguments.certs, port=arguments.port, anonymous=arguments.anonymous)
        runner = await server.start(kube)
        try:
            async with asyncio.TaskGroup() as group:
                for job in (
                    events.run(),
                    nodes.run(),
                    scheduler.run(),
                    _watch_pods(kube, manager, scheduler),
                    _watch_nodes(kube, nodes, scheduler),
                    _watch_data(kube, "Secret", manager),
                    _watch_data(kube, "ConfigMap", manager),
                ):
                    group.create_task(job)
                log.info("serving %s on port %d", kube.server, arguments.port)
        finally:
            await manager.close()
            await runner.cleanup()


async def _watch_pods(kube: Kube, manager: Manager, scheduler: Scheduler) -> None:
    async for kind, pod in kube.events("/api/v1/pods"):
        if kind == "SYNCED":
            manager.clean()
        else:
            scheduler.see_pod(kind, pod)
            manager.see(kind, pod)


async def _watch_nodes(kube: Kube, nodes: Nodes, scheduler: Scheduler) -> None:
    async for kind, node in kube.events("/api/v1/nodes"):
        if kind != "SYNCED":
            scheduler.see_node(kind, node)
            nodes.see(kind, node)


async def _watch_data(kube: Kube, kind: str, manager: Manager) -> None:
    async for event, obj in kube.events(f"/api/v1/{PLURALS[kind]}"):
        if event != "SYNCED":
            manager.see_data(kind, obj)


def _images(path: Path) -> Images:
    places = {
        "venv": sys.prefix,
        "project": str(Path(__file__).resolve().parents[2]),
        "path": os.environ.get("PATH", os.defpath),
    }
    return Images.load(path, places)


async def _run_until_told(arguments: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT, then end every container."""
    running = asyncio.create_task(_run(arguments))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def main() -> int:
    """Returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    code = 0
    try:
        asyncio.run(_run_until_told(_arguments()))
    except* (ApiError, LabError, OSError, ValueError) as errors:
        for error in errors.exceptions:
            print(f"lab.kubelet: {error}", file=sys.stderr)
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
