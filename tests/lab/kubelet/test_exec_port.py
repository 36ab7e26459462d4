"""exec as a real API server brings it to the kubelet's port: it passes the caller's frames on as they are."""

import asyncio
import ssl
from pathlib import Path

import pytest
import websockets
from websockets.typing import Subprotocol

from tests.lab.cluster import Cluster
from tests.lab.kubelet.support import Kubelet, Pods

QUERY = "command=sh&input=1&output=1"


def test_a_shell_takes_text_as_well_as_bytes(kubelet: Kubelet, pods: Pods, cluster: Cluster) -> None:
    """The Python client sends its standard input as text messages."""
    if cluster.real:
        pytest.skip("the certificate for the kubelet's port is the lab's own")
    pods.create("shell", {"command": ["sleep", "60"]})
    pods.wait_running("shell")
    tls = ssl.create_default_context(cafile=str(kubelet.certs / "ca.crt"))
    pair = Path(kubelet.certs, "kubelet-client")
    tls.load_cert_chain(f"{pair}.crt", f"{pair}.key")
    url = f"wss://127.0.0.1:{kubelet.port}/exec/{pods.namespace}/shell/c0?{QUERY}"

    async def talk() -> bytes:
        said = b""
        async with websockets.connect(url, ssl=tls, subprotocols=[Subprotocol("v4.channel.k8s.io")]) as socket:
            await socket.send("\x00echo by text\n")
            await socket.send(b"\x00echo by bytes; exit\n")
            async for message in socket:
                assert isinstance(message, bytes)
                said += message[1:] if message[0] == 1 else b""
        return said

    assert asyncio.run(asyncio.wait_for(talk(), 20)) == b"by text\nby bytes\n"
