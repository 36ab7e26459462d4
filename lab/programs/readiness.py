"""A port that listens only while its program does its work: what a tcpSocket readiness probe asks."""

from __future__ import annotations

import select
import socket
import time


class Readiness:
    """Such a port on one address; at first it is closed."""

    def __init__(self, address: str, port: int) -> None:
        self._place = (address, port)
        self._listener: socket.socket | None = None

    def say(self, ready: bool) -> None:
        """Listen, or stop to."""
        if ready and self._listener is None:
            self._listener = socket.create_server(self._place)
        elif not ready and self._listener is not None:
            self._listener.close()
            self._listener = None

    def wait(self, seconds: float) -> None:
        """Let that time pass, and hang up on who knocks meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            waiting = [self._listener] if self._listener else []
            for listener in select.select(waiting, [], [], left)[0]:
                listener.accept()[0].close()
