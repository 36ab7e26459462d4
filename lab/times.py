"""The three time formats of the Kubernetes API."""

from datetime import UTC, datetime


def seconds() -> str:
    """Now as `metav1.Time`: whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micros() -> str:
    """Now as `metav1.MicroTime`, which Leases carry."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def nanos() -> str:
    """Now as RFC3339Nano, which log lines begin with (the clock itself has microseconds)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def parse(text: str) -> datetime:
    """The moment that an RFC 3339 text means; raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} is no RFC 3339 time: it names no time zone")
    return moment
