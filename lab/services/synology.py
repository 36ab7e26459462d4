"""The NAS, outside of the cluster: a double of its DSM (lab/doubles/synology.py)."""

from lab.layout import Lab
from lab.services.outside import double
from lab.supervisor.service import Service

NAME = "nas.stratdata.org"  # what the inventory calls it
_INFO = "/webapi/query.cgi?api=SYNO.API.Info&version=1&method=query&query=SYNO.API.Auth"


def service(lab: Lab) -> Service:
    """HTTPS only."""
    port = lab.ports.of("synology")
    return double(lab, "synology", "--port", str(port), ports=(port,), question=f"{url(lab)}{_INFO}")


def addresses(lab: Lab) -> dict[str, str]:
    """Where the ports are that it has on the real network (`host:port` -> `host:port`)."""
    return {f"{NAME}:5001": f"127.0.0.1:{lab.ports.of('synology')}"}


def url(lab: Lab) -> str:
    """Where its API is."""
    return f"https://127.0.0.1:{lab.ports.of('synology')}"
