"""What the nodes' service writes of an error in a callback."""

from __future__ import annotations

import asyncio

import pytest

from lab.nodes.__main__ import report


@pytest.mark.parametrize(("error", "told"), [(BrokenPipeError("Channel not open for sending"), 0), (OSError("?"), 1)])
def test_only_output_for_a_dropped_connection_is_lost_without_a_word(
    error: Exception, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error

    async def serve() -> None:
        asyncio.get_running_loop().set_exception_handler(report)
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)

    asyncio.run(serve())
    assert len(caplog.records) == told
