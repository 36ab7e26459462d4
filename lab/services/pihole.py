"""Pi-hole, outside of the cluster, as on its own Raspberry Pi: a double (lab/doubles/pihole.py)."""

from lab.layout import Lab
from lab.services.outside import double
from lab.supervisor.service import Service

NAME = "pihole.stratdata.org"  # what the inventory calls it


def service(lab: Lab) -> Service:
    """It speaks HTTP too, as the real one does."""
    ports = lab.ports.of("pihole"), lab.ports.of("pihole-https")
    arguments = ("--port", str(ports[0]), "--https-port", str(ports[1]))
    return double(lab, "pihole", *arguments, ports=ports, question=f"{url(lab)}/api/info/login")


def addresses(lab: Lab) -> dict[str, str]:
    """Where the ports are that it has on the real network (`host:port` -> `host:port`)."""
    return {
        f"{NAME}:80": f"127.0.0.1:{lab.ports.of('pihole')}",
        f"{NAME}:443": f"127.0.0.1:{lab.ports.of('pihole-https')}",
    }


def url(lab: Lab) -> str:
    """Where its API is."""
    return f"https://127.0.0.1:{lab.ports.of('pihole-https')}"
