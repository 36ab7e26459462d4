"""``python -m lab.apiserver``: serve the Kubernetes API over HTTPS on 127.0.0.1 until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

import uvicorn

from lab.apiserver.authentication import TokenFileError
from lab.apiserver.encryptionconfig import ConfigError
from lab.apiserver.expiry import expire_events
from lab.apiserver.fronts import Fronts, Place
from lab.apiserver.listener import HOST, configure
from lab.apiserver.server import Server, Settings
from lab.apiserver.storage import HISTORY, InUse
from lab.apiserver.web import App


def settings(arguments: list[str]) -> tuple[Settings, Place | None]:
    """The command line. Exits with a usage message where it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m lab.apiserver", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the object store")
    parser.add_argument("--port", type=int, required=True, help=f"port on {HOST}")
    parser.add_argument("--certs", type=Path, required=True, help="folder of the certificates and of sa.key")
    parser.add_argument("--tokens", type=Path, required=True, help='file of token,user,uid,"group1,group2" lines')
    parser.add_argument("--encryption-config", type=Path, help="an EncryptionConfiguration file")
    parser.add_argument("--history", type=int, default=HISTORY, help="events that a watch can look back")
    parser.add_argument("--servers", type=_ports, metavar="NAME=PORT,…", help="K3s servers with ports of their own")
    parser.add_argument("--node-root", type=Path, help="folder with a folder a node, for --servers")
    parser.add_argument("--restart-seconds", type=float, default=2.0, help="how long a start of K3s takes")
    given = parser.parse_args(arguments)
    if given.servers and not given.node_root:
        parser.error("--servers needs --node-root")
    if given.history < 1:
        parser.error("--history must be at least 1")
    place = Place(given.servers, given.node_root, given.restart_seconds) if given.servers else None
    own = Settings(given.data, given.port, given.certs, given.tokens, given.history, given.encryption_config)
    return own, place


def _ports(text: str) -> dict[str, int]:
    """`rpi-1=4001,rpi-2=4002` as a mapping."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name: int(port) for name, _, port in pairs}


async def serve(given: Settings, place: Place | None) -> None:
    """Serve until a signal says stop; open watches end with it."""
    server = Server(given)
    expiry = asyncio.create_task(expire_events(server.registry))
    try:
        if place:
            await _until_stopped(Fronts(server, given, place))
        else:
            certificate = given.certs / "apiserver.crt", given.certs / "apiserver.key"
            await uvicorn.Server(configure(App(server), given.port, *certificate)).serve()
    finally:
        expiry.cancel()
        await server.close()


async def _until_stopped(fronts: Fronts) -> None:
    serving = asyncio.create_task(fronts.serve())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def main() -> int:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(*settings(sys.argv[1:])))
    except (InUse, ConfigError, TokenFileError, OSError) as error:
        sys.stderr.write(f"lab.apiserver: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
