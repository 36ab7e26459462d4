"""What a connection carries arrives, however slowly it is taken."""

import asyncio
import os

import pytest

from lab.ports import Ports
from lab.proxy.forwarding import HOST, Forwarder


def test_what_is_on_its_way_when_the_server_hangs_up_still_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has said all and gone, and the client has not read yet: nothing may be thrown away."""

    async def at_once(self: asyncio.StreamWriter) -> None:
        """Wait for nobody, so that everything piles up in the forwarder."""

    monkeypatch.setattr(asyncio.StreamWriter, "drain", at_once)
    said = os.urandom(20_000_000)

    async def scene() -> bytes:
        gone = asyncio.Event()

        async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said)
            writer.close()
            await writer.wait_closed()
            gone.set()

        upstream = await asyncio.start_server(say, HOST, 0)
        forwarder, port = Forwarder(lambda: [upstream.sockets[0].getsockname()]), Ports().of("forwarder")
        await forwarder.listen(port)
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write_eof()
        await gone.wait()
        await asyncio.sleep(0.2)  # whatever the forwarder does wrong, it does by now
        return await reader.read()

    assert asyncio.run(scene()) == said
