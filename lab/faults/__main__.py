"""`python -m lab.faults`: spoils the traffic to one server, until SIGTERM.

python -m lab.faults --upstream https://127.0.0.1:6443 --ca ca.crt --cert s.crt --key s.key --port 7443 --control 7444
curl -d '{"kind": "lost", "methods": ["PATCH"], "times": 1}' 127.0.0.1:7444/rules
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

from lab.faults.answers import WORDINGS
from lab.faults.control import Control
from lab.faults.http import HttpProxy
from lab.faults.postgres import PostgresProxy
from lab.faults.tcp import TcpProxy


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lab.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--upstream", required=True, help="the server: http(s)://…, postgres://host:port or tcp://…")
    parser.add_argument("--port", type=int, required=True, help="where clients connect, on 127.0.0.1")
    parser.add_argument("--control", type=int, required=True, help="where rules are switched, on 127.0.0.1")
    parser.add_argument(
        "--wording", choices=sorted(WORDINGS), default="plain", help="who an HTTP server pretends to be"
    )
    parser.add_argument("--ca", type=Path, help="what the upstream's certificate is checked with")
    parser.add_argument("--cert", type=Path, help="the certificate that clients see; without it they speak plain HTTP")
    parser.add_argument("--key", type=Path, help="its key")
    return parser.parse_args()


def proxy(arguments: argparse.Namespace) -> HttpProxy | TcpProxy:
    """The proxy that the command line asks for. Raises ValueError for an upstream of no known kind, and OSError."""
    address = urlsplit(arguments.upstream)
    if address.scheme in ("http", "https"):
        tls = None
        if arguments.cert:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(arguments.cert, arguments.key)
        trust = ssl.create_default_context(cafile=arguments.ca) if arguments.ca else None
        wording = WORDINGS[arguments.wording]
        return HttpProxy(arguments.upstream, arguments.port, wording=wording, tls=tls, trust=trust)
    kinds = {"postgres": PostgresProxy, "tcp": TcpProxy}
    if address.scheme not in kinds or not address.hostname or not address.port:
        raise ValueError(f"--upstream {arguments.upstream}: name http(s)://host:port, postgres://host:port or tcp://…")
    return kinds[address.scheme]((address.hostname, address.port), arguments.port)


async def _run(arguments: argparse.Namespace) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    server = proxy(arguments)
    async with server, Control(server.rules, arguments.control):
        await told.wait()


def main() -> int:
    """Returns the exit code."""
    try:
        asyncio.run(_run(_arguments()))
    except (OSError, ValueError) as error:
        print(f"lab.faults: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
