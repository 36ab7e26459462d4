"""Pi-hole, outside of the cluster, as on its own Raspberry Pi: a double (lab/doubles/pihole.py)."""

import sys

from lab.layout import Lab
from lab.services.probes import https_status
from lab.supervisor.service import Service

NAME = "pihole.stratdata.org"  # what the inventory calls it


def service(lab: Lab) -> Service:
    """Ready when its API answers over the lab's TLS; at its first start it gets the lab's invented password."""
    data = lab.data("pihole")
    ports = lab.ports.of("pihole"), lab.ports.of("pihole-https")

    async def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)

    async def ready() -> bool:
        return await https_status(f"{url(lab)}/api/info/login", lab.certs / "ca.crt") == 200

    return Service(
        name="pihole",
        command=(
            *(sys.executable, "-m", "lab.doubles.pihole", "--state", str(data / "state.json")),
            *("--password-file", str(lab.credentials / "pihole_admin")),
            *("--port", str(ports[0]), "--https-port", str(ports[1]), "--certificate", str(lab.certs / "pihole.crt")),
        ),
        ports=ports,
        prepare=prepare,
        ready=ready,
    )


def addresses(lab: Lab) -> dict[str, str]:
    """Where the ports are that it has on the real network (`host:port` -> `host:port`)."""
    return {
        f"{NAME}:80": f"127.0.0.1:{lab.ports.of('pihole')}",
        f"{NAME}:443": f"127.0.0.1:{lab.ports.of('pihole-https')}",
    }


def url(lab: Lab) -> str:
    """Where its API is."""
    return f"https://127.0.0.1:{lab.ports.of('pihole-https')}"
