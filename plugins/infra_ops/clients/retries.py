"""What clients of HTTP servers bear by themselves: reads are asked again, writes only when they were not carried out.

https://urllib3.readthedocs.io/en/stable/reference/urllib3.util.html#urllib3.util.Retry
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import MaxRetryError, ResponseError, SSLError

READS = frozenset({"GET", "HEAD", "LIST"})  # LIST is OpenBao's
TRIES = 5
# Pauses in seconds: none, 0.4, 0.8, 1.6, 3.2. An API server that restarts is away for longer: tasks wait for that.
PAUSE = 0.2
LONGEST_PAUSE = 30.0
# Pauses of 0.4 to 6.4 s, then of 10 s: two minutes altogether.
RESTART_TRIES = 17
LONGEST_RESTART_PAUSE = 10.0
# The codes of an answer to a read that the next try may not get.
PASSING = frozenset({429, 500, 502, 503, 504})


class Patience(Retry):
    """Reads are tried again over lost connections and passing answers, a write only when nothing has come of it.

    That is so when no connection was made, or when the answer is 429 with Retry-After. A write whose answer is lost may
    have been carried out: its caller has to look first. A server that wants to be left alone for more than
    LONGEST_PAUSE is left alone.
    """

    @classmethod
    def with_reads(cls, *, passing: frozenset[int] = PASSING) -> Self:
        """For a client of a server; `passing` are the codes after which a read is tried again."""
        return cls(
            total=TRIES,
            read=2,  # each may have waited for the whole time limit
            allowed_methods=READS,
            status_forcelist=passing,
            backoff_factor=PAUSE,
            raise_on_status=False,
        )

    @classmethod
    def through_a_restart(cls) -> Self:
        """For those who expect the server to be away for up to two minutes: one that restarts refuses connections."""
        return cls(
            total=RESTART_TRIES,
            read=4,
            allowed_methods=READS,
            status_forcelist=PASSING,
            backoff_factor=PAUSE,
            backoff_max=LONGEST_RESTART_PAUSE,
            raise_on_status=False,
        )

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        if status_code == 429 and has_retry_after:
            return True
        return method.upper() in READS and super().is_retry(method, status_code, has_retry_after)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        # urllib3 repeats any method after a TLS error, though that may have come in the middle of the answer
        if isinstance(error, SSLError):
            raise error
        if response is not None and (self.get_retry_after(response) or 0) > LONGEST_PAUSE:
            raise MaxRetryError(_pool, url or "", ResponseError(f"Retry-After over {LONGEST_PAUSE:.0f} s"))
        return super().increment(method, url, response, error, _pool, _stacktrace)


def pause(attempt: int) -> None:
    """Sleep before the next try, when `attempt` (1, 2, …) has failed."""
    time.sleep(PAUSE * 2 ** (attempt - 1))
