"""Proxies that run beside a test, which need not be a coroutine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

from lab.faults.http import HttpProxy
from lab.faults.tcp import TcpProxy


@contextmanager
def spoiling(*proxies: HttpProxy | TcpProxy) -> Iterator[None]:
    """The proxies listen for as long as the block lasts; their rules may be switched from the test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stack = AsyncExitStack()

    async def start() -> None:
        for proxy in proxies:
            if isinstance(proxy, HttpProxy):
                await stack.enter_async_context(proxy)
            else:
                await stack.enter_async_context(proxy)

    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(30)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
