"""Asking a service whether it is there, over TLS that only the lab's own certificates satisfy."""

import ssl
from pathlib import Path

import aiohttp


async def https_status(url: str, authority: Path) -> int | None:
    """The HTTP status of a GET, or None when nobody answers or the answer is not from a server of that authority."""
    context = ssl.create_default_context(cafile=authority)
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, ssl=context, allow_redirects=False) as response,
        ):
            return response.status
    except (aiohttp.ClientError, TimeoutError):
        return None
