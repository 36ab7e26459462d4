"""Who may read logs and run commands at the kubelet's own port."""

import http.client
import ssl
from pathlib import Path

import pytest

from lab import pki
from tests.lab.cluster import Cluster
from tests.lab.kubelet.support import Kubelet, Pods

LOG = "/containerLogs/{namespace}/secretive/c0"


@pytest.fixture
def log_path(kubelet: Kubelet, pods: Pods, cluster: Cluster) -> str:
    if cluster.real:
        pytest.skip("a foreign API server shows no certificate of the lab's authority")
    pods.run("secretive", "echo confidential")
    return LOG.format(namespace=pods.namespace)


def test_the_api_servers_certificate_opens_the_port(kubelet: Kubelet, log_path: str) -> None:
    assert _get(kubelet, log_path, kubelet.certs / "kubelet-client") == (200, "confidential\n")


def test_without_a_certificate_only_the_health_is_shown(kubelet: Kubelet, log_path: str) -> None:
    assert _get(kubelet, "/healthz") == (200, "ok")
    assert _get(kubelet, log_path) == (401, "Unauthorized")
    assert _get(kubelet, log_path.replace("containerLogs", "exec") + "?command=id&output=1")[0] == 401


def test_a_certificate_of_another_authority_is_refused(kubelet: Kubelet, log_path: str, tmp_path: Path) -> None:
    pki.issue(tmp_path)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _get(kubelet, log_path, tmp_path / "kubelet-client")


def _get(kubelet: Kubelet, path: str, pair: Path | None = None) -> tuple[int, str]:
    tls = ssl.create_default_context(cafile=kubelet.certs / "ca.crt")
    if pair:
        tls.load_cert_chain(f"{pair}.crt", f"{pair}.key")
    connection = http.client.HTTPSConnection("127.0.0.1", kubelet.port, context=tls, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()
