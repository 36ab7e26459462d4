"""What the supervisor must know of a service."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from lab.errors import LabError


class ServiceError(LabError):
    """A service cannot become healthy, or does not do what was asked of it; the text is one clear sentence."""


async def nothing() -> None:
    """The step of a service that needs none."""


async def at_once() -> bool:
    """The readiness of a service that serves nobody: alive is enough."""
    return True


@dataclass(frozen=True)
class Service:
    """One supervised process, started in a session of its own with its output in ``.lab/log/<name>.log``.

    The supervisor runs, in this order: ``prepare`` (files, initdb) once all services in ``after`` are healthy, the
    command, ``ready`` every 0.1 s until it is true or ``timeout`` seconds have passed, and ``finish`` (accounts,
    databases). The service counts as healthy after ``finish``. All three must be safe to run again on the next start.

    ``ready`` need not ask whether the process lives or owns its ports: the supervisor asks it only while the process is
    alive, and only once every one of ``ports`` is listened on by the process or its children. It returns False while
    nobody answers, or the answer is not the service's own. What waiting cannot mend, any of the three raises as
    ServiceError or OSError.

    ``environment`` comes on top of the lab's own small one (PATH, HOME, LANG, TMPDIR, PYTHONPATH); nothing of the
    user's shell reaches a service. A secret belongs there or in a file, never in ``command``.

    Stopping sends ``stop_signal`` to the process and, after ``grace`` seconds, SIGKILL to its whole session.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    prepare: Callable[[], Awaitable[None]] = nothing
    ready: Callable[[], Awaitable[bool]] = at_once
    finish: Callable[[], Awaitable[None]] = nothing
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 5.0
    timeout: float = 60.0
