"""One supervisor a lab: a lock on a file that the kernel drops when its holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class HeldError(Exception):
    """Another supervisor runs this lab."""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock. Raises HeldError when another process has it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldError(f"another process holds {path}") from None
        yield
