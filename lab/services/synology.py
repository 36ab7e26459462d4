"""The NAS, outside of the cluster: a double of its DSM (lab/doubles/synology.py)."""

import sys

from lab.layout import Lab
from lab.services.probes import https_status
from lab.supervisor.service import Service

NAME = "nas.stratdata.org"  # what the inventory calls it
_INFO = "/webapi/query.cgi?api=SYNO.API.Info&version=1&method=query&query=SYNO.API.Auth"


def service(lab: Lab) -> Service:
    """Ready when its API answers over the lab's TLS; at its first start it gets the lab's invented password."""
    data = lab.data("synology")
    port = lab.ports.of("synology")

    async def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)

    async def ready() -> bool:
        return await https_status(f"{url(lab)}{_INFO}", lab.certs / "ca.crt") == 200

    return Service(
        name="synology",
        command=(
            *(sys.executable, "-m", "lab.doubles.synology", "--state", str(data / "state.json")),
            *("--password-file", str(lab.credentials / "synology_admin")),
            *("--port", str(port), "--certificate", str(lab.certs / "synology.crt")),
        ),
        ports=(port,),
        prepare=prepare,
        ready=ready,
    )


def addresses(lab: Lab) -> dict[str, str]:
    """Where the ports are that it has on the real network (`host:port` -> `host:port`)."""
    return {f"{NAME}:5001": f"127.0.0.1:{lab.ports.of('synology')}"}


def url(lab: Lab) -> str:
    """Where its API is."""
    return f"https://127.0.0.1:{lab.ports.of('synology')}"
