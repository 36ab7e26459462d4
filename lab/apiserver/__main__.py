"""``python -m lab.apiserver``: serve the Kubernetes API over HTTPS on 127.0.0.1 until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import uvicorn

from lab.apiserver.authentication import TokenFileError
from lab.apiserver.encryptionconfig import ConfigError
from lab.apiserver.expiry import expire_events
from lab.apiserver.server import Server, Settings
from lab.apiserver.storage import HISTORY, InUse
from lab.apiserver.web import App

HOST = "127.0.0.1"
SHUTDOWN_SECONDS = 1


def settings(arguments: list[str]) -> Settings:
    """The command line. Exits with a usage message where it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m lab.apiserver", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the object store")
    parser.add_argument("--port", type=int, required=True, help=f"port on {HOST}")
    parser.add_argument("--certs", type=Path, required=True, help="folder of the certificates and of sa.key")
    parser.add_argument("--tokens", type=Path, required=True, help='file of token,user,uid,"group1,group2" lines')
    parser.add_argument("--encryption-config", type=Path, help="an EncryptionConfiguration file")
    parser.add_argument("--history", type=int, default=HISTORY, help="events that a watch can look back")
    given = parser.parse_args(arguments)
    if given.history < 1:
        parser.error("--history must be at least 1")
    return Settings(given.data, given.port, given.certs, given.tokens, given.history, given.encryption_config)


async def serve(given: Settings) -> None:
    """Serve until a signal says stop; open watches end with it."""
    server = Server(given)
    config = uvicorn.Config(
        App(server),
        host=HOST,
        port=given.port,
        ssl_certfile=given.certs / "apiserver.crt",
        ssl_keyfile=str(given.certs / "apiserver.key"),
        http="httptools",
        ws="websockets",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=90,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    expiry = asyncio.create_task(expire_events(server.registry))
    try:
        await uvicorn.Server(config).serve()
    finally:
        expiry.cancel()
        await server.close()


def main() -> int:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(settings(sys.argv[1:])))
    except (InUse, ConfigError, TokenFileError, OSError) as error:
        sys.stderr.write(f"lab.apiserver: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
