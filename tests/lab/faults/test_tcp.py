"""The proxy in front of a server whose protocol it does not know: here one that sends back what it hears."""

from __future__ import annotations

import asyncio
import time

import pytest

from lab.faults.rules import Kind, Rule
from lab.faults.tcp import TcpProxy
from lab.ports import Ports

WORDS = b"0123456789"


async def _say(rule: Rule | None) -> tuple[bytes, list[bytes]]:
    """What a client hears that says WORDS under the rule, and what the server heard."""
    heard: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        heard.append(data)
        writer.write(data)
        await writer.drain()
        writer.close()

    ports = Ports()
    async with (
        asyncio.timeout(30),
        await asyncio.start_server(echo, "127.0.0.1", ports.of("echo")),
        TcpProxy(("127.0.0.1", ports.of("echo")), ports.of("proxy")) as proxy,
    ):
        if rule:
            proxy.rules.switch_on(rule)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        answer = b""
        try:
            writer.write(WORDS)
            writer.write_eof()
            while data := await reader.read(100):
                answer += data
        except ConnectionError:
            answer += b"!"
        finally:
            writer.close()
    return answer, heard


@pytest.mark.parametrize(
    ("rule", "answer", "heard"),
    [
        (None, [WORDS], [WORDS]),
        (Rule(kind=Kind.DOWN), [b"!", b""], []),
        (Rule(kind=Kind.LOST), [b"!", b""], [WORDS]),
        (Rule(kind=Kind.CUT), [WORDS[:5], WORDS[:5] + b"!"], [WORDS]),
        (Rule(kind=Kind.LOCKED, body="-ERR locked"), [b"-ERR locked", b"-ERR locked!"], []),
        (Rule(kind=Kind.DOWN, skip=1), [WORDS], [WORDS]),
    ],
    ids=["none", "down", "lost", "cut", "locked", "not this one"],
)
def test_what_a_client_hears(rule: Rule | None, answer: list[bytes], heard: list[bytes]) -> None:
    got = asyncio.run(_say(rule))
    assert got[0] in answer
    assert got[1] == heard


def test_slow() -> None:
    begun = time.monotonic()
    assert asyncio.run(_say(Rule(kind=Kind.SLOW, seconds=0.3)))[0] == WORDS
    assert time.monotonic() - begun >= 0.3
