"""What stands beside the cluster on machines of its own: doubles (lab/doubles) that speak HTTPS."""

import sys

from lab.layout import Lab
from lab.services.probes import https_status
from lab.supervisor.service import Service


def double(lab: Lab, name: str, *arguments: str, ports: tuple[int, ...], question: str) -> Service:
    """The double `name` of `lab/doubles` with its own `arguments`.

    It is ready when it answers `question`, an URL, over the lab's TLS; at its first start it gets the lab's invented
    password.
    """
    data = lab.data(name)

    async def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)

    async def ready() -> bool:
        return await https_status(question, lab.certs / "ca.crt") == 200

    return Service(
        name=name,
        command=(
            *(sys.executable, "-m", f"lab.doubles.{name}", "--state", str(data / "state.json")),
            *("--password-file", str(lab.credentials / f"{name}_admin")),
            *("--certificate", str(lab.certs / f"{name}.crt")),
            *arguments,
        ),
        ports=ports,
        prepare=prepare,
        ready=ready,
    )
