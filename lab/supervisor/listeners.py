"""Who listens on a port: the service that should, or a stranger that would answer in its place."""

import psutil

from lab import ports
from lab.supervisor import sessions
from lab.supervisor.service import ServiceError


def owns(session: int, port: int) -> bool:
    """Whether a process of the session listens on the port.

    False means that nobody listens yet. Raises ServiceError when somebody else does. Where the machine hides a
    process's sockets from us, being answered at all has to do.
    """
    if ports.is_free(port):
        return False
    hidden = False
    for process in sessions.members(session):
        try:
            if port in _listening(process):
                return True
        except psutil.AccessDenied:
            hidden = True
        except psutil.NoSuchProcess:
            continue
    if hidden:
        return True
    raise ServiceError(f"its port {port} is held by {_holder(port)}, which is not of this lab")


def _listening(process: psutil.Process) -> set[int]:
    listening = set()
    for connection in process.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr:
            listening.add(connection.laddr.port)
    return listening


def _holder(port: int) -> str:
    for process in psutil.process_iter():
        try:
            if port in _listening(process):
                return f"{process.name()} (pid {process.pid})"
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return "another program"
