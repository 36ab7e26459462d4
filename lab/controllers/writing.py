"""Writes that may come too late: somebody else was faster, or the server is away."""

import logging
from collections.abc import Awaitable
from typing import Any

from lab.kube import ApiError

Object = dict[str, Any]

log = logging.getLogger(__name__)

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


async def attempt(write: Awaitable[Object]) -> bool:
    """Whether the write is off the table: done, or overtaken by somebody else's, which the watch will show.

    False when it must be tried again; the reason is logged.
    """
    try:
        await write
    except ApiError as error:
        if error.reason in ("NotFound", "AlreadyExists"):
            return True
        if error.reason != "Conflict":
            log.warning("%s", error)
        return False
    except ConnectionError as error:
        log.warning("%s", error)
        return False
    return True
