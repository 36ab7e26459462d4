"""The ports of one lab: picked free, remembered, and kept for the next start as long as they stay free."""

import random
import socket

# Below the range from which operating systems take ports for outgoing connections, so none of those gets in between.
CANDIDATES = range(20000, 30000)


class Ports:
    """Ports by name on 127.0.0.1. ``numbers`` is what state.json keeps."""

    def __init__(self, remembered: dict[str, int] | None = None) -> None:
        self._remembered = dict(remembered or {})
        self.numbers: dict[str, int] = {}

    def of(self, name: str) -> int:
        """The port of that name: the same for the life of this object, and the remembered one where it is free."""
        if name not in self.numbers:
            self.numbers[name] = self._pick(name)
        return self.numbers[name]

    def _pick(self, name: str) -> int:
        remembered = self._remembered.get(name)
        if remembered and is_free(remembered):
            return remembered
        taken = {*self.numbers.values(), *self._remembered.values()}
        candidates = [port for port in CANDIDATES if port not in taken]
        random.shuffle(candidates)
        for port in candidates:
            if is_free(port):
                return port
        raise OSError(f"No free port for {name} between {CANDIDATES.start} and {CANDIDATES.stop - 1} on 127.0.0.1.")


def is_free(port: int) -> bool:
    """Whether nobody listens on that port of 127.0.0.1 (a connection that has just ended does not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
