"""Waiting longer after each failure."""

import time


class Backoff:
    """10 s, doubling up to 5 minutes, from the start again after 10 quiet minutes: the kubelet's numbers."""

    FIRST = 10.0
    LONGEST = 300.0
    FORGOTTEN_AFTER = 600.0

    def __init__(self) -> None:
        self._failures = 0
        self._last = time.monotonic()

    def next(self) -> float:
        """Count one more failure and return the seconds to wait before trying again."""
        if time.monotonic() - self._last > self.FORGOTTEN_AFTER:
            self._failures = 0
        self._failures += 1
        self._last = time.monotonic()
        return min(self.FIRST * 2.0 ** (self._failures - 1), self.LONGEST)
