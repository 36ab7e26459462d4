"""`python -m lab.proxy`: listens for every Service of a cluster, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from lab.kube import ApiError, Kube, Object
from lab.proxy.proxy import Proxy
from lab.proxy.view import Address, View


def _backend(text: str) -> tuple[str, Address]:
    """`namespace/name:port=host:port`."""
    service, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    return service, (host, int(port))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.proxy", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="how to reach the API server, and as whom")
    parser.add_argument("--root", type=Path, required=True, help="folder in which it remembers its ports")
    parser.add_argument("--addresses", type=Path, required=True, help="JSON file that it writes: where each Service is")
    parser.add_argument(
        "--backend",
        type=_backend,
        action="append",
        default=[],
        metavar="NAMESPACE/NAME:PORT=HOST:PORT",
        help="a server that stands behind this port of a Service instead of pods",
    )
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    view = View(dict(arguments.backend))
    proxy = Proxy(view, memory=arguments.root / "ports.json", told=arguments.addresses)
    async with Kube(arguments.kubeconfig) as kube, asyncio.TaskGroup() as group:
        pods_seen = asyncio.Event()
        group.create_task(_watch(kube, "/api/v1/pods", view.see_pod, pods_seen.set))
        await pods_seen.wait()  # who asks for an address may use it at once
        group.create_task(_watch(kube, "/api/v1/services", view.see_service, proxy.changed))
        group.create_task(proxy.run())


async def _watch(kube: Kube, path: str, see: Callable[[str, Object], None], seen: Callable[[], None]) -> None:
    """Hand every event on. `seen` is called once all that exists is known, and after every later event."""
    synced = False
    async for kind, obj in kube.events(path):
        if kind == "SYNCED":
            synced = True
        else:
            see(kind, obj)
        if synced:
            seen()


async def _run_until_told(arguments: argparse.Namespace) -> None:
    running = asyncio.create_task(_run(arguments))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def main() -> int:
    """Returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    code = 0
    try:
        asyncio.run(_run_until_told(_arguments()))
    except* (ApiError, OSError, ValueError) as errors:
        for error in errors.exceptions:
            print(f"lab.proxy: {error}", file=sys.stderr)
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
